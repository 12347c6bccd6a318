"""Conflict-first, and the merge itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from core.audit.events import EventType
from core.conflicts.pulls import ConflictingPull, Precedence
from core.conflicts.summary import check_fingerprint, conflict_of, conflict_sentence, is_ignored
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

IGNORE_PERIOD = timedelta(days=1)  # that is how long a person lets a conflict pass
MAX_EVENT_FILES = 50  # names of files that one line of the audit trail holds


def apply_trial_merge(builder: DecisionBuilder, signal: TrialMergeDone) -> None:
    """The head was merged with its base and the others. Say the result on the pull request, and act on it."""
    pull = builder.task.pull
    if pull is None or not pull.open or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if pull.base_sha not in (None, signal.base_sha) and signal.base_sha:
        if pull.base_sha not in signal.past:
            return  # the base moved while it was tried: the comparison that this asked for is on its way
        pull = builder.update_pull(base_sha=signal.base_sha)  # the news of where it was came late
    previous_waits, was_flagged = (
        {conflicting.pull: conflicting.waits for conflicting in pull.waits_behind},
        Flag.CONFLICT in builder.task.flags,
    )
    conflicting_pulls = pull.rivals if signal.rivals is None else signal.rivals
    previous_trial = pull.trial
    pull = builder.update_pull(
        trial=signal.trial,
        rivals=is_ignored(conflicting_pulls, builder.task.ignored, builder.now),
        files=signal.touched or pull.files,
    )
    update_conflict_check(builder, pull)
    if signal.clean is False:
        if previous_trial is None or previous_trial.clean is not False or previous_trial.files != signal.files:
            _record_base_conflict(builder, signal, pull)
        _send_back_for_conflict(builder, signal, pull)
        return
    # Where the merge could not be tried, GitHub's own refusal of conflicts is still behind us.
    pull = builder.update_pull(mergeable_sha=pull.head_sha, tried_base_sha=signal.base_sha or None)
    _record_new_conflicts(
        builder,
        pull,
        [
            conflicting
            for conflicting in pull.waits_behind
            if previous_waits.get(conflicting.pull) is not conflicting.waits
        ],
    )
    if was_flagged and conflict_of(builder.task) is None:
        builder.add_event(EventType.CONFLICT_RESOLVED, pull=pull.number)
    evaluate_completion(builder)


def update_conflict_check(builder: DecisionBuilder, pull: Pull) -> None:
    """Write the check `conflict-first`; only when it says something new, because every write costs."""
    fingerprint = check_fingerprint(pull, conflict_check(pull).conclusion)
    if fingerprint == pull.conflict_shown:
        return
    # That all is well calls nobody. Where something was wrong, somebody may be waiting for just that.
    was_successful = pull.conflict_shown is None or pull.conflict_shown.split(":")[1] == "success"
    builder.update_pull(conflict_shown=fingerprint)
    check = conflict_check_run(builder.task.number, pull)
    builder.add_effect(replace(check, may_wait=was_successful and check.conclusion == "success"))


def ignore_conflict(builder: DecisionBuilder, login: str) -> tuple[ConflictingPull, ...]:
    """A person lets the pull requests be behind which this one waits, for a day; gives which."""
    task, pull = builder.task, builder.task.pull
    conflicting_pulls = pull.waits_behind if pull and pull.open else ()
    if pull is None or not conflicting_pulls:
        return ()
    until = builder.now + IGNORE_PERIOD
    builder.update_task(ignored={**task.ignored, **{conflicting.pull: until for conflicting in conflicting_pulls}})
    update_conflict_check(
        builder, builder.update_pull(rivals=is_ignored(pull.rivals, builder.task.ignored, builder.now))
    )
    builder.add_event(
        EventType.CONFLICT_RESOLVED,
        actor=login,
        how="ignore",
        pulls=[conflicting.pull for conflicting in conflicting_pulls],
    )
    return conflicting_pulls


def _record_new_conflicts(builder: DecisionBuilder, pull: Pull, conflicting_pulls: Collection[ConflictingPull]) -> None:
    """Rivals behind which it did not wait before: a line in the trail for each, and a person where neither can wait."""
    for conflicting in conflicting_pulls:
        is_undecided = conflicting.waits is Precedence.NOBODY
        builder.add_event(
            EventType.CONFLICT_DETECTED,
            kind="branches",
            tasks=[number for number in (builder.task.number, conflicting.task) if number],
            pulls=[pull.number, conflicting.pull],
            agents=[builder.task.lease.agent if builder.task.lease else pull.author.login, conflicting.who],
            files=[file.path for file in conflicting.files[:MAX_EVENT_FILES]],
            severity="high" if is_undecided else "medium",
            waits=None if is_undecided else pull.number,
        )
        # Of two tasks the later one calls, so that nobody is called twice.
        if is_undecided and (conflicting.task is None or conflicting.first):
            escalate(
                builder,
                conflict_sentence(conflicting),
                EscalationCause.RIVALS,
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
        return  # its agent is still at work on it
    send_back(
        builder,
        Feedback(
            key=f"conflict:{signal.head_sha}:{signal.base_sha}",
            title=f"The branch conflicts with {pull.base}",
            details=conflict_details(signal.trial, pull),
            at=builder.now,
            sha=signal.head_sha,
        ),
        # Nobody's fault: somebody else was merged first.
        counts_against_agent=False,
        cancel=False,
    )


def on_base_moved(builder: DecisionBuilder, signal: BaseMoved) -> None:
    """Something went into the base: what was clean before may conflict now. All branches are compared anew."""
    pull = builder.task.pull
    if pull is None or not pull.open or pull.base != signal.base:
        return
    if pull.tried_base_sha == signal.sha and pull.mergeable_sha == pull.head_sha:
        builder.update_pull(base_sha=signal.sha)
        return  # it was tried with that already
    retry_refused_merge(builder)
    builder.update_pull(mergeable_sha=None, merge_requested_sha=None, base_sha=signal.sha)


def apply_merge_refusal(builder: DecisionBuilder, signal: MergeRefused) -> None:
    """GitHub would not merge: show why. A new push, review or base lets us ask again."""
    pull = builder.task.pull
    if pull is None or pull.merged or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if pull.dod_shown is None or pull.dod_waits:
        # What goes without saying was not said yet; but a branch may be protected by that very check.
        update_done_check(builder, pull)
        builder.update_pull(merge_requested_sha=None)
        evaluate_completion(builder)
        return
    reason = defuse(one_line(mask_secrets(signal.reason), 300))
    builder.task = builder.task.flagged(Flag.BLOCKED, f"GitHub did not merge #{pull.number}: {reason}")
