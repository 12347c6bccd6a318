"""Senders about merging."""

from __future__ import annotations

from typing import cast

from adapters.database import store
from adapters.github.convert import pull_facts
from adapters.github.errors import Conflict, Forbidden, Invalid, NotFound
from adapters.github.pulls import MergeMethod
from core.effects.base import MarkReady, MergePull
from core.signals.base import MergeRefused, PullSeen
from core.text_safety.sanitize import one_line
from engine.senders.context import SendContext, SendResult


async def mark_ready(effect: MarkReady, errand: SendContext) -> SendResult:
    """Make a draft ready, unless it is; how it is then is read, so that a lost delivery delays nothing."""
    await errand.github.mark_ready(errand.name, effect.pull_number)
    now = await errand.github.get_pull(errand.name, effect.pull_number)
    return SendResult(signals=((effect.number, PullSeen(pull_facts(now), None, author_can_write=False)),))


async def _is_wanted(effect: MergePull, errand: SendContext) -> bool:
    async with errand.database.autocommit() as connection:
        task = await store.load_task(connection, errand.repository.id, effect.number)
    pull = task.pull if task else None
    known = (pull.number, pull.merge_requested_sha, pull.merge_round) if pull else None
    return known == (effect.pull_number, effect.sha, effect.round)


async def merge_pull(effect: MergePull, errand: SendContext) -> SendResult:
    """Merge, bound to the head; afterwards the pull request is read, so that a lost delivery delays nothing."""
    github, name = errand.github, errand.name
    if not await _is_wanted(effect, errand):
        # Decided by a verdict that holds no longer. Had it been done all the same, that is to be known.
        if not errand.again:
            return SendResult()
        now = await github.get_pull(name, effect.pull_number)
        return SendResult(signals=((effect.number, PullSeen(pull_facts(now), None, author_can_write=False)),))
    # Requested again because the base moved, perhaps by this very merge: then there is nothing left to do.
    looks = errand.again or effect.round > 1
    pull = await github.get_pull(name, effect.pull_number) if looks else None
    if pull is None or not pull.merged:
        try:
            await github.merge_pull(
                name,
                effect.pull_number,
                sha=effect.sha,
                method=cast("MergeMethod", effect.method),
                title=effect.title,
            )
        except (Conflict, Forbidden, Invalid, NotFound) as error:
            reason = one_line(error.message, 300)
            refused = MergeRefused(effect.pull_number, effect.sha, reason)
            return SendResult(signals=((effect.number, refused),))
    merged = await github.get_pull(name, effect.pull_number)
    seen = PullSeen(pull_facts(merged), None, author_can_write=False)
    return SendResult(signals=((effect.number, seen),))
