"""The sender of relations between issues: GitHub's own dependencies."""

from __future__ import annotations

from adapters.github.errors import Forbidden, Gone, Invalid, NotFound
from core.effects.base import SetDependency
from core.signals.base import DependencyRefused
from engine import issue_reader
from engine.senders.context import SendContext, SendResult


async def set_dependency(effect: SetDependency, context: SendContext) -> SendResult:
    """Make the issue wait for another one, or no longer.

    GitHub refuses what is so already, and then that is looked at. Afterwards the issue is read, so that a lost delivery
    delays nothing.
    """
    github, name = context.github, context.full_name
    try:
        if not (context.is_retry and await _is_applied(effect, context)):
            update_dependency = github.add_blocked_by if effect.is_present else github.remove_blocked_by
            await update_dependency(name, effect.number, effect.issue_id)
    except (Forbidden, Gone, Invalid, NotFound) as error:
        if not await _is_applied(effect, context):
            return SendResult(conflict_report=((effect.number, DependencyRefused(effect, error.message)),))
    issue = await github.get_issue(name, effect.number)
    signal = await issue_reader.make_issue_seen(
        context.database, github, context.repository, issue, context.forecasts, force_read=True
    )
    return SendResult(conflict_report=((effect.number, signal),))


async def _is_applied(effect: SetDependency, context: SendContext) -> bool:
    """Whether GitHub has it as it is wanted; no where it knows of no dependencies at all."""
    try:
        blockers = await context.github.list_blocked_by(context.full_name, effect.number)
    except (Forbidden, Gone, NotFound):
        return False
    return (effect.issue_id in {blocker.id for blocker in blockers}) is effect.is_present
