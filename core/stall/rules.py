"""Diagnoses why a task makes no progress and says what can be done.

Slow is not dead: an agent without a sign of life is replaced long before this (`DeadlineKind.HEARTBEAT`). Stalls are
about *progress*: commits, a pull request, checks, a review, a merge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from config.repository import RepositoryConfig
from core.conflicts.summary import conflict_sentence, format_files
from core.escalation.model import EscalationCause
from core.review.definition_of_done import criteria_blockers, done_blockers, merge_blockers, review_blocker
from core.stall.model import CheckWaitReason, EscalationStep, Stall, StallCause
from core.task.deadlines import MAX_STALL_FACTOR, learned_work_time, stall_threshold
from core.task.model import ChecksState, Flag, Pull, Role, Status, Task
from core.text_safety.sanitize import inline_code
from core.texts.render import format_duration

_AGENT_STEPS = (EscalationStep.REMIND, EscalationStep.REASSIGN, EscalationStep.ESCALATE)
_PEOPLE_STEPS = (EscalationStep.REMIND, EscalationStep.ESCALATE)
_EXTERNAL_STEPS = (EscalationStep.RECHECK, EscalationStep.ESCALATE)
# Others already work on it, so GitHub is asked again and no one is disturbed.
_OTHERS_STEPS = (EscalationStep.RECHECK,)
ESCALATION_STEPS: Mapping[StallCause, tuple[EscalationStep, ...]] = {
    StallCause.NO_ACK: _AGENT_STEPS,
    StallCause.NO_PUSH: _AGENT_STEPS,
    StallCause.QUESTION: _OTHERS_STEPS,
    StallCause.CLAIMED: _PEOPLE_STEPS,
    StallCause.CI_CONFLICT: _EXTERNAL_STEPS,
    StallCause.CI_APPROVAL: (EscalationStep.ESCALATE,),
    StallCause.CI_NOT_STARTED: _EXTERNAL_STEPS,
    StallCause.CI_SLOW: _EXTERNAL_STEPS,
    StallCause.WAITS_FOR_OTHERS: _OTHERS_STEPS,
    StallCause.REVIEWER: _AGENT_STEPS,
    StallCause.REVIEW: _PEOPLE_STEPS,
    StallCause.CRITERIA: _PEOPLE_STEPS,
    StallCause.MANUAL_MERGE: _PEOPLE_STEPS,
    StallCause.MERGE_REFUSED: _EXTERNAL_STEPS,
    StallCause.MERGE_QUEUE: _EXTERNAL_STEPS,
    StallCause.NOT_DONE: _PEOPLE_STEPS,
    StallCause.NO_ANSWER: _EXTERNAL_STEPS,
}
# GitHub's refusal if only its merge queue may merge: "Changes must be made through the merge queue".
_MERGE_QUEUE_REFUSAL = re.compile(r"\bmerge queue\b", re.IGNORECASE)
# GitHub's refusal while a required check has not reported: `Required status check "tests" is expected.`
_MISSING_CHECK_REFUSAL = re.compile(r"\brequired status checks? .{0,200}\bexpected\b", re.IGNORECASE)


def escalate_after(threshold: timedelta) -> timedelta:
    """The time between two steps: half of the time that made it a stall."""
    return threshold / 2


def diagnose(task: Task, policy: RepositoryConfig, responsible: Sequence[str] = ()) -> tuple[StallCause, str]:
    """Why a task in progress or in review does not move, in one sentence. `responsible` are the people it would wait
    for.
    """
    pull = task.pull
    if task.status is Status.IN_PROGRESS or pull is None:
        return _diagnose_work(task)
    if pull.merged:
        blockers = done_blockers(task)
        detail = f": {_lower_first(blockers[0])}" if blockers else "."
        return StallCause.NOT_DONE, f"#{pull.number} is merged, but the task is not done{detail}"
    if pull.draft:
        return StallCause.NO_PUSH, f"#{pull.number} became a draft again and has had no progress since."
    if pull.checks is ChecksState.PENDING:
        return _diagnose_checks(pull)
    if task.hold or task.open_dependencies or pull.blocking_pulls:
        return StallCause.WAITS_FOR_OTHERS, _wait_reason(task, pull)
    if pull.mergeable_sha != pull.head_sha and not criteria_blockers(task):  # missing criteria are known for certain
        return (
            StallCause.NO_ANSWER,
            f"GitHub has not reported whether #{pull.number} can be merged into {inline_code(pull.base)}.",
        )
    if task.review_lease:
        return (
            StallCause.REVIEWER,
            f"{inline_code(task.review_lease.agent)} has not finished its review of #{pull.number}.",
        )
    by_responsible = f" by {', '.join(map(inline_code, responsible))}" if responsible else ""
    if review_blocker(pull, policy.merge.review):
        if policy.merge.review == "agent":
            reason = task.choice.reason if task.choice and task.choice.role is Role.REVIEW else "no agent has it"
            return (
                StallCause.REVIEW,
                f"#{pull.number} waits for a review by an agent ({reason}), or{by_responsible or ' by a person'}.",
            )
        return StallCause.REVIEW, f"#{pull.number} waits for a review{by_responsible or ' by a person'}."
    if blockers := merge_blockers(task, policy.merge.review):
        return StallCause.CRITERIA, f"#{pull.number} is not merged: {_lower_first(blockers[0])}"
    return _diagnose_merge(task, pull, policy, by_responsible)


def _diagnose_work(task: Task) -> tuple[StallCause, str]:
    lease, escalation = task.lease, task.escalation
    if lease is None:
        return StallCause.NO_ANSWER, "No one holds the task, and it has no pull request."
    holder = inline_code(lease.agent)
    if lease.holder_id is not None:
        return StallCause.CLAIMED, f"{holder} took the task and has shown no progress since."
    if escalation and escalation.cause is EscalationCause.QUESTION:
        return StallCause.QUESTION, f"{holder} asked a question and waits for the answer."
    if lease.acknowledged_at is None:
        return StallCause.NO_ACK, f"{holder} accepted the task but has not started."
    if lease.role is Role.PLAN:
        return StallCause.NO_PUSH, f"{holder} is running but has delivered no plan."
    suffix = " more" if task.pull else ""
    return StallCause.NO_PUSH, f"{holder} is running but has pushed nothing{suffix}."


def _diagnose_checks(pull: Pull) -> tuple[StallCause, str]:
    number = f"#{pull.number}"
    if pull.trial_merge and pull.trial_merge.clean is False:
        files = format_files(pull.trial_merge.files)
        reason = f"it conflicts with {inline_code(pull.base)} in {files}, and GitHub runs no checks until that is fixed"
        return StallCause.CI_CONFLICT, f"The checks of {number} do not start: {reason}."
    match pull.check_wait_reason:
        case CheckWaitReason.APPROVAL:
            return StallCause.CI_APPROVAL, f"The checks of {number} do not start until a person approves them."
        case CheckWaitReason.QUEUED:
            return StallCause.CI_NOT_STARTED, f"The checks of {number} are queued, but no runner has started one."
        case CheckWaitReason.RUNNING:
            return StallCause.CI_SLOW, f"The checks of {number} have not finished."
        case _:
            return StallCause.CI_NOT_STARTED, f"No check of {number} has started."


def _wait_reason(task: Task, pull: Pull) -> str:
    if task.hold:
        return task.hold.description
    if task.open_dependencies:
        return f"#{pull.number} is not merged before {', '.join(task.open_dependencies)} is done."
    return conflict_sentence(pull.blocking_pulls[0])


def _diagnose_merge(task: Task, pull: Pull, policy: RepositoryConfig, by_responsible: str) -> tuple[StallCause, str]:
    if pull.merge_requested_sha == pull.head_sha:
        refusal = task.flags.get(Flag.BLOCKED)
        if refusal is None:
            return StallCause.MERGE_QUEUE, f"The bot asked GitHub to merge #{pull.number}, and GitHub has not done it."
        if _MERGE_QUEUE_REFUSAL.search(refusal):
            return (
                StallCause.MERGE_QUEUE,
                f"{inline_code(pull.base)} accepts #{pull.number} only through its merge queue.",
            )
        if _MISSING_CHECK_REFUSAL.search(refusal):
            return StallCause.CI_NOT_STARTED, f"#{pull.number} needs a check that never started. {refusal}"
        return StallCause.MERGE_REFUSED, refusal
    if not policy.merge.auto:
        return (
            StallCause.MANUAL_MERGE,
            f"Nothing is missing: #{pull.number} waits to be merged{by_responsible or ' by a person'}.",
        )
    return StallCause.NO_ANSWER, f"GitHub has reported nothing about #{pull.number}."


def _lower_first(sentence: str) -> str:
    """A sentence as the part of another one; names and numbers stay as they are."""
    first_word, _, _ = sentence.partition(" ")
    return sentence if not first_word.isalpha() else sentence[:1].lower() + sentence[1:]


_NEXT_STEP_TEXT = {
    EscalationStep.RECHECK: "the bot checks again",
    EscalationStep.REMIND: "the bot notifies the people it waits for",
    EscalationStep.REASSIGN: "the bot gives it to another agent if one is free",
    EscalationStep.ESCALATE: "the bot calls for a person",
}


def stall_text(stall: Stall) -> str:
    """Why it is stalled, which steps were taken and which is next, on one line."""
    sentences = [stall.reason, *stall.actions_taken]
    if stall.next_step:
        step_text = _NEXT_STEP_TEXT[stall.next_step]
        sentences.append(f"At {stall.next_at:%Y-%m-%d %H:%M} UTC {step_text}, unless there is progress before.")
    return " ".join(sentences)


def stall_suggestions(task: Task) -> tuple[str, str, str]:
    """Three things that a person can do about a stall, as Markdown."""
    stall, pull, lease = task.stall, task.pull, task.lease
    number = f"#{pull.number}" if pull else f"#{task.number}"
    finish_step = (
        f"Finish it yourself: comment `/claim`.{f' Any commits are on {inline_code(lease.branch)}.' if lease else ''}"
    )
    link = f"[{number}]({pull.url})" if pull else number
    match stall.cause if stall else None:
        case StallCause.CI_APPROVAL:
            return (
                f"Check what {link} changes, then press *Approve and run workflows* there; the task then "
                "continues by itself.",
                "Allow that agent's workflows to run without approval, in the settings of Actions or of the agent.",
                f"Close {number}: the task goes to the next attempt.",
            )
        case StallCause.CI_NOT_STARTED | StallCause.CI_SLOW | StallCause.CI_CONFLICT:
            return (
                f"Look at the checks of {link}: is a runner online, does a job hang? Run them again there.",
                "Comment `/resolve rebase` to merge the base into its branch; all checks then run again.",
                "Comment `/retry` to start over, or `/claim` to finish it yourself.",
            )
        case StallCause.REVIEW | StallCause.REVIEWER:
            return (
                f"Review {link}: approve it or request changes.",
                "Add agents with the role `review` to `.github/orchestrator.yml`, or set `merge.review` there.",
                "Return the task to the queue (comment `/release`), or close the issue as not planned.",
            )
        case StallCause.CRITERIA | StallCause.NOT_DONE:
            return (
                "Tick the criteria that are met, or change them in the issue; to approve the text, comment `/ready`.",
                f"Request changes in a review of {link}."
                if pull and pull.open
                else "Comment `/complete` to see what is missing.",
                "Close the issue as completed, or as not planned.",
            )
        case StallCause.MANUAL_MERGE | StallCause.MERGE_REFUSED | StallCause.MERGE_QUEUE | StallCause.NO_ANSWER:
            return (
                f"Merge {link} yourself, or put it into the merge queue.",
                "Check the rules of the branch: may the App merge there, and which checks and reviews do they require?",
                "Comment `/resolve rebase` to update the branch, or `/retry` to start over.",
            )
        case StallCause.CLAIMED:
            return (
                "Report your progress: comment `/progress half of the tests pass`.",
                "Return it to the queue with your commits: comment `/release`.",
                "Give it to an agent: comment `/reassign`.",
            )
        case _:
            return (
                "Look at what the agent does. If it is fine, comment `/ack`.",
                "Comment `/reassign` to give the task and the work so far to another agent.",
                finish_step,
            )


def stall_timeout_text(task: Task, policy: RepositoryConfig) -> str:
    """After how long without progress the task counts as stalled, and why; empty if it cannot stall."""
    if task.status not in (Status.IN_PROGRESS, Status.REVIEW):
        return ""
    configured, effective = policy.timeouts.stall_timeout(task.priority.value), stall_threshold(task, policy.timeouts)
    text = f"It counts as stalled after {format_duration(effective)} without progress"
    if effective < configured:
        return f"{text}: only a person can start its checks."
    text += f" ({format_duration(configured)} for a {task.priority}"
    learned = learned_work_time(task)
    if learned is None:
        return f"{text})."
    limit = min(configured * MAX_STALL_FACTOR, policy.timeouts.attempt)
    text += f"; by this repository's latest attempts, an agent may take {format_duration(learned)} to hand in"
    return f"{text}, of which {format_duration(limit)} at most count)." if learned > limit else f"{text})."
