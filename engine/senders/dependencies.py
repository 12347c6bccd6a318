"""The sender of relations between issues: GitHub's own dependencies."""

from __future__ import annotations

from adapters.github.errors import Forbidden, Gone, Invalid, NotFound
from core.effects.base import SetDependency
from core.signals.base import DependencyRefused
from engine import issue_reader
from engine.senders.context import SendContext, SendResult


async def set_dependency(effect: SetDependency, errand: SendContext) -> SendResult:
    """Make the issue wait for another one, or no longer.

    GitHub refuses what is so already, and then that is looked at. Afterwards the issue is read, so that a lost delivery
    delays nothing.
    """
    github, name = errand.github, errand.name
    try:
        if not (errand.again and await _is_so(effect, errand)):
            write = github.add_blocked_by if effect.wanted else github.remove_blocked_by
            await write(name, effect.number, effect.issue_id)
    except (Forbidden, Gone, Invalid, NotFound) as error:
        if not await _is_so(effect, errand):
            return SendResult(signals=((effect.number, DependencyRefused(effect, error.message)),))
    issue = await github.get_issue(name, effect.number)
    seen = await issue_reader.issue_seen(
        errand.database, github, errand.repository, issue, errand.forecasts, afresh=True
    )
    return SendResult(signals=((effect.number, seen),))


async def _is_so(effect: SetDependency, errand: SendContext) -> bool:
    """Whether GitHub has it as it is wanted; no where it knows of no dependencies at all."""
    try:
        blockers = await errand.github.list_blocked_by(errand.name, effect.number)
    except (Forbidden, Gone, NotFound):
        return False
    return (effect.issue_id in {blocker.id for blocker in blockers}) is effect.wanted
