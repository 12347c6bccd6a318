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
from engine.senders.trial_merges import try_merge

log = structlog.get_logger()

# What GitHub says where it refuses (always 422), in lower case. A head that is another by now it tells as well, with a
# straight apostrophe or a curly one; that is found by looking.
_CURRENT = "no new commits on the base"
_CONFLICT = "merge conflict"


async def update_branch(effect: UpdateBranch, errand: SendContext) -> SendResult:
    """Merge the base into the branch, bound to the head; how it went goes back in as a signal.

    GitHub answers before it is done. The pull request is read afterwards, so that a lost delivery delays nothing where
    it was quick; else the reconciler finds the new head.
    """
    github, name = errand.github, errand.name
    if errand.again:
        before = await github.get_pull(name, effect.pull_number)
        if before.head.sha != effect.head_sha:
            return await _moved(effect, before, errand)
    try:
        await github.update_branch(name, effect.pull_number, expected_head_sha=effect.head_sha)
    except (Conflict, Forbidden, Gone, Invalid, NotFound) as error:
        return await _refused(effect, error, errand)
    return _told(effect, "done", PullSeen(pull_facts(await github.get_pull(name, effect.pull_number)), None, False))


async def _moved(effect: UpdateBranch, now: PullRequest, errand: SendContext) -> SendResult:
    """The head is another one. If it holds the base that was to come in, it is done, no matter by whom."""
    try:
        compared = await errand.github.compare(errand.name, effect.base_sha or effect.base, now.head.sha)
        outcome: UpdateOutcome = "done" if compared.behind_by == 0 else "moved"
    except (NotFound, Invalid):
        outcome = "moved"  # the base was pushed over, or the branch is gone
    return _told(effect, outcome, PullSeen(pull_facts(now), None, False))


async def _refused(effect: UpdateBranch, error: GitHubError, errand: SendContext) -> SendResult:
    try:
        now = await errand.github.get_pull(errand.name, effect.pull_number)
    except (Forbidden, Gone, NotFound):
        return _told(effect, "refused", reason=error.message)
    if now.head.sha != effect.head_sha:
        return await _moved(effect, now, errand)
    said = error.message.lower()
    if _CURRENT in said:
        return _told(effect, "current")
    if _CONFLICT in said:
        # GitHub does not say where. The trial's verdict is news for the task as well: it is taken in after this.
        look = RequestTrialMerge(effect.number, effect.pull_number, effect.branch, effect.base, effect.head_sha)
        report = (await try_merge(look, errand)).report
        merge = report.trials.get(effect.pull_number) if isinstance(report, ConflictReport) else None
        trial = None
        if merge and merge.clean is False:
            trial = TrialMergeDone.of(effect.pull_number, effect.head_sha, merge)
        return replace(_told(effect, "conflict", trial=trial), report=report)
    log.warning("branch_not_updated", pull=effect.pull_number, reason=error.message)
    return _told(effect, "refused", reason=error.message)


def _told(
    effect: UpdateBranch,
    outcome: UpdateOutcome,
    then: Signal | None = None,
    *,
    reason: str = "",
    trial: TrialMergeDone | None = None,
) -> SendResult:
    signal = BranchUpdateDone(effect, outcome, one_line(reason, 300), trial)
    return SendResult(signals=tuple((effect.number, one) for one in (signal, then) if one is not None))
