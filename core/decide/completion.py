"""Takes a task from review to done: the check on the pull request, the merge, and completion."""

from __future__ import annotations

from dataclasses import replace

from core.audit.events import EventType
from core.commands.buttons import CONFLICT_BUTTONS
from core.decide.attempts import end_attempt
from core.decide.builder import DecisionBuilder
from core.effects.base import CheckRun, CloseIssue, MergePull
from core.review.definition_of_done import done_blockers, merge_blockers
from core.task.lifecycle import Trigger, can_apply
from core.task.model import ChecksState, Flag, Pull, Status
from core.texts import DONE_CHECK, done_check
from core.texts.checks import CONFLICT_CHECK, conflict_check


def evaluate_completion(builder: DecisionBuilder) -> None:
    """Advance a task in review as far as possible now. Safe to call after any change."""
    task = builder.task
    pull = task.pull
    if pull is None:
        return
    # A failed task whose old pull request a person merged may still be done.
    is_late_merge = pull.merged and can_apply(task.status, Trigger.COMPLETED) and not done_blockers(task)
    if task.status is not Status.REVIEW and not is_late_merge:
        return
    if pull.merged:
        gaps = done_blockers(task)
        if not gaps:
            complete_task(builder)
        else:
            builder.task = task.with_flag(Flag.BLOCKED, f"Merged, but not done: {gaps[0]}")
        return
    if pull.checks not in (ChecksState.SUCCESS, ChecksState.NONE) or pull.mergeable_sha != pull.head_sha:
        return  # checks that are still running will send an event when they end
    gaps = merge_blockers(task, builder.policy.merge.review)
    should_merge = not gaps and builder.policy.merge.auto and pull.merge_requested_sha != pull.head_sha
    _update_done_check_if_needed(builder, pull, gaps, may_wait=not gaps and builder.policy.merge.auto)
    if should_merge:
        merge_round = pull.merge_attempt + 1
        builder.update_pull(merge_requested_sha=pull.head_sha, merge_attempt=merge_round)
        builder.add_event(EventType.MERGE_REQUESTED, pull=pull.number, head=pull.head_sha)
        title = f"{task.title} (#{pull.number})"
        if pull.trial_merge:  # that check may be required by branch protection, so it is written at once
            check = conflict_check_run(task.number, pull)
            builder.effects = [effect for effect in builder.effects if effect.key != check.key]
            builder.add_effect(check)
        builder.add_effect(
            MergePull(task.number, pull.number, pull.head_sha, builder.policy.merge.method, title, merge_round)
        )


def retry_refused_merge(builder: DecisionBuilder) -> None:
    """Try a refused merge again after a change that may have fixed the reason."""
    task = builder.task
    if task.pull and not task.pull.merged and task.pull.merge_requested_sha and Flag.BLOCKED in task.flags:
        builder.update_pull(merge_requested_sha=None)
        builder.task = builder.task.without_flags(Flag.BLOCKED)


def _update_done_check_if_needed(
    builder: DecisionBuilder, pull: Pull, gaps: tuple[str, ...], *, may_wait: bool
) -> None:
    """Show what is missing on the pull request; if nothing ever was, the merge itself is enough."""
    if gaps or pull.dod_fingerprint is not None or not builder.policy.merge.auto:
        update_done_check(builder, pull, gaps, may_wait=may_wait)


def conflict_check_run(number: int, pull: Pull) -> CheckRun:
    """The check `conflict-first` for the head of a pull request after its trial merge."""
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
        actions=CONFLICT_BUTTONS if check.conclusion == "failure" else (),
    )


def update_done_check(
    builder: DecisionBuilder, pull: Pull, gaps: tuple[str, ...] = (), *, may_wait: bool = False
) -> None:
    """Write the check `definition-of-done` if it shows something new, because every write costs.

    It may be delayed while the bot merges: everyone waits for the merge, which says the same.
    """
    conclusion, title, summary = done_check(builder.task, gaps)
    fingerprint = f"{pull.head_sha}:{conclusion}:{summary}"
    if fingerprint == pull.dod_fingerprint and (may_wait or not pull.is_dod_pending):
        return
    builder.update_pull(dod_fingerprint=fingerprint, is_dod_pending=may_wait)
    check = CheckRun(builder.task.number, DONE_CHECK, pull.head_sha, conclusion, title, summary, attempt=pull.attempt)
    builder.add_effect(replace(check, can_wait=may_wait))


def complete_task(builder: DecisionBuilder, login: str | None = None) -> None:
    """Complete the task: its definition of done is met, or a person (`login`) decided so."""
    if not can_apply(builder.task.status, Trigger.COMPLETED):
        return
    pull = builder.task.pull
    reason = f"set by @{login}" if login else f"#{pull.number} merged" if pull else "done"
    builder.add_event(EventType.TASK_COMPLETED, actor=login, reason=reason, pull=pull.number if pull else None)
    merged_pull = pull if pull and pull.merged else None
    end_attempt(builder, "delivered" if merged_pull else "released", reason, counts_against_agent=False)
    builder.transition(Trigger.COMPLETED)
    builder.update_task(flags={}, open_dependencies=(), readiness_problems=(), closed_by=login, pull=merged_pull)
    if builder.task.issue_open:
        builder.add_effect(CloseIssue(builder.task.number, builder.now))
