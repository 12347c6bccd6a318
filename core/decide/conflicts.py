"""Implements the conflict check (`conflict-first`) and the reaction to merges."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from core.audit.events import EventType
from core.conflicts.pulls import ConflictingPull, Precedence
from core.conflicts.summary import check_fingerprint, conflict_reason, conflict_sentence, is_ignored
from core.decide.attempts import send_back
from core.decide.builder import DecisionBuilder
from core.decide.completion import conflict_check_run, evaluate_completion, retry_refused_merge, update_done_check
from core.decide.escalation import escalate
from core.escalation.model import EscalationCause
from core.handoff.feedback import Feedback
from core.signals.base import BaseMoved, MergeRefused, TrialMergeDone
from core.task.model import Flag, Pull, Status
from core.text_safety.sanitize import defuse, mask_secrets, one_line
from core.texts import conflict_details
from core.texts.checks import conflict_check

IGNORE_PERIOD = timedelta(days=1)  # how long a person's decision to ignore a conflict lasts
MAX_EVENT_FILES = 50  # file names per event of the audit log


def apply_trial_merge(builder: DecisionBuilder, signal: TrialMergeDone) -> None:
    """Apply the result of a trial merge: show it on the pull request, and act on it."""
    pull = builder.task.pull
    if pull is None or not pull.open or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if pull.base_sha not in (None, signal.base_sha) and signal.base_sha:
        if pull.base_sha not in signal.earlier_base_shas:
            return  # the base moved during the trial: the next comparison was already requested
        pull = builder.update_pull(base_sha=signal.base_sha)  # the event about the base was late
    previous_waits, was_flagged = (
        {conflicting.pull: conflicting.precedence for conflicting in pull.blocking_pulls},
        Flag.CONFLICT in builder.task.flags,
    )
    conflicting_pulls = pull.conflicting_pulls if signal.conflicting_pulls is None else signal.conflicting_pulls
    previous_trial = pull.trial_merge
    pull = builder.update_pull(
        trial_merge=signal.trial_merge,
        conflicting_pulls=is_ignored(conflicting_pulls, builder.task.ignored_conflicts, builder.now),
        files=signal.changed_files or pull.files,
    )
    update_conflict_check(builder, pull)
    if signal.clean is False:
        if previous_trial is None or previous_trial.clean is not False or previous_trial.files != signal.files:
            _record_base_conflict(builder, signal, pull)
        _send_back_for_conflict(builder, signal, pull)
        return
    # If the trial merge failed, GitHub still refuses to merge conflicts.
    pull = builder.update_pull(mergeable_sha=pull.head_sha, trial_base_sha=signal.base_sha or None)
    _record_new_conflicts(
        builder,
        pull,
        [
            conflicting
            for conflicting in pull.blocking_pulls
            if previous_waits.get(conflicting.pull) is not conflicting.precedence
        ],
    )
    if was_flagged and conflict_reason(builder.task) is None:
        builder.add_event(EventType.CONFLICT_RESOLVED, pull=pull.number)
    evaluate_completion(builder)


def update_conflict_check(builder: DecisionBuilder, pull: Pull) -> None:
    """Write the check `conflict-first` if it shows something new, because every write costs."""
    fingerprint = check_fingerprint(pull, conflict_check(pull).conclusion)
    if fingerprint == pull.conflict_fingerprint:
        return
    # A check that stays green is not urgent. If it was red, the user may be waiting for it.
    was_successful = pull.conflict_fingerprint is None or pull.conflict_fingerprint.split(":")[1] == "success"
    builder.update_pull(conflict_fingerprint=fingerprint)
    check = conflict_check_run(builder.task.number, pull)
    builder.add_effect(replace(check, can_wait=was_successful and check.conclusion == "success"))


def ignore_conflict(builder: DecisionBuilder, login: str) -> tuple[ConflictingPull, ...]:
    """Ignore for a day the pull requests that this one waits for; returns them."""
    task, pull = builder.task, builder.task.pull
    conflicting_pulls = pull.blocking_pulls if pull and pull.open else ()
    if pull is None or not conflicting_pulls:
        return ()
    until = builder.now + IGNORE_PERIOD
    builder.update_task(
        ignored_conflicts={**task.ignored_conflicts, **{conflicting.pull: until for conflicting in conflicting_pulls}}
    )
    update_conflict_check(
        builder,
        builder.update_pull(
            conflicting_pulls=is_ignored(pull.conflicting_pulls, builder.task.ignored_conflicts, builder.now)
        ),
    )
    builder.add_event(
        EventType.CONFLICT_RESOLVED,
        actor=login,
        how="ignore",
        pulls=[conflicting.pull for conflicting in conflicting_pulls],
    )
    return conflicting_pulls


def _record_new_conflicts(builder: DecisionBuilder, pull: Pull, conflicting_pulls: Collection[ConflictingPull]) -> None:
    """Record each new conflict that this pull request waits for, and escalate if neither can wait."""
    for conflicting in conflicting_pulls:
        is_undecided = conflicting.precedence is Precedence.NEITHER
        builder.add_event(
            EventType.CONFLICT_DETECTED,
            kind="branches",
            tasks=[number for number in (builder.task.number, conflicting.task) if number],
            pulls=[pull.number, conflicting.pull],
            agents=[builder.task.lease.agent if builder.task.lease else pull.author.login, conflicting.owner],
            files=[file.path for file in conflicting.files[:MAX_EVENT_FILES]],
            severity="high" if is_undecided else "medium",
            waits=None if is_undecided else pull.number,
        )
        # Of two tasks the later one escalates, so that people are notified once.
        if is_undecided and (conflicting.task is None or conflicting.is_older):
            escalate(
                builder,
                conflict_sentence(conflicting),
                EscalationCause.CONFLICT,
                topic=f"rivals:{pull.number}:{conflicting.pull}",
            )


def _record_base_conflict(builder: DecisionBuilder, signal: TrialMergeDone, pull: Pull) -> None:
    lease = builder.task.lease
    builder.add_event(
        EventType.CONFLICT_DETECTED,
        kind="base",
        tasks=[builder.task.number],
        pulls=[pull.number],
        agents=[lease.agent] if lease else [],
        files=[file.path for file in signal.files[:MAX_EVENT_FILES]],
        severity="high",
    )


def _send_back_for_conflict(builder: DecisionBuilder, signal: TrialMergeDone, pull: Pull) -> None:
    if builder.task.status is not Status.REVIEW:
        return  # its agent is still working on it
    send_back(
        builder,
        Feedback(
            key=f"conflict:{signal.head_sha}:{signal.base_sha}",
            title=f"The branch conflicts with {pull.base}",
            details=conflict_details(signal.trial_merge, pull),
            created_at=builder.now,
            sha=signal.head_sha,
        ),
        # No one is at fault: another pull request was merged first.
        counts_against_agent=False,
        cancel=False,
    )


def on_base_moved(builder: DecisionBuilder, signal: BaseMoved) -> None:
    """The base moved: a clean merge may conflict now, so all branches are compared again."""
    pull = builder.task.pull
    if pull is None or not pull.open or pull.base != signal.base:
        return
    if pull.trial_base_sha == signal.sha and pull.mergeable_sha == pull.head_sha:
        builder.update_pull(base_sha=signal.sha)
        return  # that base was already tried
    retry_refused_merge(builder)
    builder.update_pull(mergeable_sha=None, merge_requested_sha=None, base_sha=signal.sha)


def apply_merge_refusal(builder: DecisionBuilder, signal: MergeRefused) -> None:
    """GitHub refused to merge: show why. A new push, review or base allows another try."""
    pull = builder.task.pull
    if pull is None or pull.merged or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if pull.dod_fingerprint is None or pull.is_dod_pending:
        # The check was not written because nothing was missing; but branch protection may require it.
        update_done_check(builder, pull)
        builder.update_pull(merge_requested_sha=None)
        evaluate_completion(builder)
        return
    reason = defuse(one_line(mask_secrets(signal.reason), 300))
    builder.task = builder.task.with_flag(Flag.BLOCKED, f"GitHub did not merge #{pull.number}: {reason}")
