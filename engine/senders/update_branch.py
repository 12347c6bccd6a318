"""Sender of `UpdateBranch`: GitHub merges the base into the branch of a pull request."""

from __future__ import annotations

from dataclasses import replace

import structlog

from adapters.github.convert import pull_facts
from adapters.github.errors import Conflict, Forbidden, GitHubError, Gone, Invalid, NotFound
from adapters.github.models import PullRequest
from core.conflicts.pulls import ConflictReport
from core.effects.base import RequestTrialMerge, UpdateBranch
from core.signals.base import BranchUpdateDone, PullSeen, Signal, TrialMergeDone, UpdateOutcome
from core.text_safety.sanitize import one_line
from engine.senders.context import SendContext, SendResult
from engine.senders.trial_merges import run_trial_merge

log = structlog.get_logger()

# What GitHub says where it refuses (always 422), in lower case. A head that is another by now it tells as well, with a
# straight apostrophe or a curly one; that is found by looking.
_UP_TO_DATE_TEXT = "no new commits on the base"
_CONFLICT_TEXT = "merge conflict"


async def update_branch(effect: UpdateBranch, context: SendContext) -> SendResult:
    """Merge the base into the branch, bound to the head; how it went goes back in as a signal.

    GitHub answers before it is done. The pull request is read afterwards, so that a lost delivery delays nothing where
    it was quick; else the reconciler finds the new head.
    """
    github, name = context.github, context.full_name
    if context.is_retry:
        pull = await github.get_pull(name, effect.pull_number)
        if pull.head.sha != effect.head_sha:
            return await _on_head_moved(effect, pull, context)
    try:
        await github.update_branch(name, effect.pull_number, expected_head_sha=effect.head_sha)
    except (Conflict, Forbidden, Gone, Invalid, NotFound) as error:
        return await _on_rejected(effect, error, context)
    return _update_result(
        effect, "done", PullSeen(pull_facts(await github.get_pull(name, effect.pull_number)), None, False)
    )


async def _on_head_moved(effect: UpdateBranch, pull: PullRequest, context: SendContext) -> SendResult:
    """The head is another one. If it holds the base that was to come in, it is done, no matter by whom."""
    try:
        comparison = await context.github.compare(context.full_name, effect.base_sha or effect.base, pull.head.sha)
        outcome: UpdateOutcome = "done" if comparison.behind_by == 0 else "moved"
    except (NotFound, Invalid):
        outcome = "moved"  # the base was pushed over, or the branch is gone
    return _update_result(effect, outcome, PullSeen(pull_facts(pull), None, False))


async def _on_rejected(effect: UpdateBranch, error: GitHubError, context: SendContext) -> SendResult:
    try:
        pull = await context.github.get_pull(context.full_name, effect.pull_number)
    except (Forbidden, Gone, NotFound):
        return _update_result(effect, "refused", reason=error.message)
    if pull.head.sha != effect.head_sha:
        return await _on_head_moved(effect, pull, context)
    message = error.message.lower()
    if _UP_TO_DATE_TEXT in message:
        return _update_result(effect, "current")
    if _CONFLICT_TEXT in message:
        # GitHub does not say where. The trial's verdict is news for the task as well: it is taken in after this.
        trial_request = RequestTrialMerge(
            effect.number, effect.pull_number, effect.branch, effect.base, effect.head_sha
        )
        report = (await run_trial_merge(trial_request, context)).report
        merge = report.trial_merges.get(effect.pull_number) if isinstance(report, ConflictReport) else None
        trial_done = None
        if merge and merge.clean is False:
            trial_done = TrialMergeDone.from_trial_merge(effect.pull_number, effect.head_sha, merge)
        return replace(_update_result(effect, "conflict", trial_done=trial_done), report=report)
    log.warning("branch_not_updated", pull=effect.pull_number, reason=error.message)
    return _update_result(effect, "refused", reason=error.message)


def _update_result(
    effect: UpdateBranch,
    outcome: UpdateOutcome,
    follow_up: Signal | None = None,
    *,
    reason: str = "",
    trial_done: TrialMergeDone | None = None,
) -> SendResult:
    update_done = BranchUpdateDone(effect, outcome, one_line(reason, 300), trial_done)
    return SendResult(
        conflict_report=tuple((effect.number, item) for item in (update_done, follow_up) if item is not None)
    )
