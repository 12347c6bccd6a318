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


async def mark_ready(effect: MarkReady, context: SendContext) -> SendResult:
    """Make a draft ready, unless it is; how it is then is read, so that a lost delivery delays nothing."""
    await context.github.mark_ready(context.full_name, effect.pull_number)
    pull = await context.github.get_pull(context.full_name, effect.pull_number)
    return SendResult(conflict_report=((effect.number, PullSeen(pull_facts(pull), None, author_can_write=False)),))


async def _is_current(effect: MergePull, context: SendContext) -> bool:
    async with context.database.autocommit() as connection:
        task = await store.load_task(connection, context.repository.id, effect.number)
    pull = task.pull if task else None
    requested = (pull.number, pull.merge_requested_sha, pull.merge_attempt) if pull else None
    return requested == (effect.pull_number, effect.sha, effect.merge_attempt)


async def merge_pull(effect: MergePull, context: SendContext) -> SendResult:
    """Merge, bound to the head; afterwards the pull request is read, so that a lost delivery delays nothing."""
    github, name = context.github, context.full_name
    if not await _is_current(effect, context):
        # Decided by a verdict that holds no longer. Had it been done all the same, that is to be known.
        if not context.is_retry:
            return SendResult()
        current = await github.get_pull(name, effect.pull_number)
        return SendResult(
            conflict_report=((effect.number, PullSeen(pull_facts(current), None, author_can_write=False)),)
        )
    # Requested again because the base moved, perhaps by this very merge: then there is nothing left to do.
    must_check = context.is_retry or effect.merge_attempt > 1
    pull = await github.get_pull(name, effect.pull_number) if must_check else None
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
            refusal = MergeRefused(effect.pull_number, effect.sha, reason)
            return SendResult(conflict_report=((effect.number, refusal),))
    merged_pull = await github.get_pull(name, effect.pull_number)
    signal = PullSeen(pull_facts(merged_pull), None, author_can_write=False)
    return SendResult(conflict_report=((effect.number, signal),))
