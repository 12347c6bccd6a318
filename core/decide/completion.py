"""From review to done: what is said on the pull request, when it is merged, and when the task is finished."""

from __future__ import annotations

from dataclasses import replace

from core.audit.events import EventType
from core.commands.buttons import ON_CONFLICT
from core.decide.attempts import end_attempt
from core.decide.builder import Draft
from core.effects.base import CheckRun, CloseIssue, MergePull
from core.review.definition_of_done import done_gaps, merge_gaps
from core.task.lifecycle import Trigger, allows
from core.task.model import ChecksState, Flag, Pull, Status
from core.texts import DONE_CHECK, done_check
from core.texts.checks import CONFLICT_CHECK, conflict_check


def evaluate(draft: Draft) -> None:
    """Take a task in review as far as it can go now. Safe to call after any change."""
    task = draft.task
    pull = task.pull
    if pull is None:
        return
    # A failed task whose old pull request a person merged may be done after all.
    late_merge = pull.merged and allows(task.status, Trigger.COMPLETED) and not done_gaps(task)
    if task.status is not Status.REVIEW and not late_merge:
        return
    if pull.merged:
        gaps = done_gaps(task)
        if not gaps:
            complete(draft)
        else:
            draft.task = task.flagged(Flag.BLOCKED, f"Merged, but not done: {gaps[0]}")
        return
    if pull.checks not in (ChecksState.SUCCESS, ChecksState.NONE) or pull.mergeable_sha != pull.head_sha:
        return  # what is still under way will tell us when it has ended
    gaps = merge_gaps(task, draft.policy.merge.review)
    merges = not gaps and draft.policy.merge.auto and pull.merge_requested_sha != pull.head_sha
    _show(draft, pull, gaps, may_wait=not gaps and draft.policy.merge.auto)
    if merges:
        round_ = pull.merge_round + 1
        draft.set_pull(merge_requested_sha=pull.head_sha, merge_round=round_)
        draft.tell(EventType.MERGE_REQUESTED, pull=pull.number, head=pull.head_sha)
        title = f"{task.title} (#{pull.number})"
        if pull.trial:  # a branch may be protected by that check: it waits no longer
            check = conflict_said(task.number, pull)
            draft.effects = [one for one in draft.effects if one.key != check.key]
            draft.want(check)
        draft.want(MergePull(task.number, pull.number, pull.head_sha, draft.policy.merge.method, title, round_))


def ask_again(draft: Draft) -> None:
    """GitHub refused the merge; now something happened that may be what it asked for."""
    task = draft.task
    if task.pull and not task.pull.merged and task.pull.merge_requested_sha and Flag.BLOCKED in task.flags:
        draft.set_pull(merge_requested_sha=None)
        draft.task = draft.task.unflagged(Flag.BLOCKED)


def _show(draft: Draft, pull: Pull, gaps: tuple[str, ...], *, may_wait: bool) -> None:
    """Say on the pull request what is missing; where nothing ever was, the merge itself says so."""
    if gaps or pull.dod_shown is not None or not draft.policy.merge.auto:
        say_done(draft, pull, gaps, may_wait=may_wait)


def conflict_said(number: int, pull: Pull) -> CheckRun:
    """The check `conflict-first` as it is to be shown on the head of the pull request, whose merge was tried."""
    check = conflict_check(pull)
    return CheckRun(
        number,
        CONFLICT_CHECK,
        pull.head_sha,
        check.conclusion,
        check.title,
        check.summary,
        annotations=check.annotations,
        attempt=pull.attempt,
        actions=ON_CONFLICT if check.conclusion == "failure" else (),
    )


def say_done(draft: Draft, pull: Pull, gaps: tuple[str, ...] = (), *, may_wait: bool = False) -> None:
    """Write the check `definition-of-done`; only when it says something new, because every write costs.

    It may wait while the bot merges: that is what everybody waits for, and it says the same.
    """
    conclusion, title, summary = done_check(draft.task, gaps)
    shown = f"{pull.head_sha}:{conclusion}:{summary}"
    if shown == pull.dod_shown and (may_wait or not pull.dod_waits):
        return
    draft.set_pull(dod_shown=shown, dod_waits=may_wait)
    check = CheckRun(draft.task.number, DONE_CHECK, pull.head_sha, conclusion, title, summary, attempt=pull.attempt)
    draft.want(replace(check, may_wait=may_wait))


def complete(draft: Draft, by: str | None = None) -> None:
    """The task is done: by its Definition of Done, or because a person (`by`) said so."""
    if not allows(draft.task.status, Trigger.COMPLETED):
        return
    pull = draft.task.pull
    reason = f"set by @{by}" if by else f"#{pull.number} merged" if pull else "done"
    draft.tell(EventType.TASK_COMPLETED, actor=by, reason=reason, pull=pull.number if pull else None)
    merged = pull if pull and pull.merged else None
    end_attempt(draft, "delivered" if merged else "released", reason, blamed=False)
    draft.move(Trigger.COMPLETED)
    draft.set(flags={}, waits_for=(), missing=(), closed_by=by, pull=merged)
    if draft.task.issue_open:
        draft.want(CloseIssue(draft.task.number, draft.now))
