"""Diagnoses why a task makes no progress and says what can be done.

Slow is not dead: an agent without a sign of life is replaced long before this (`DeadlineKind.HEARTBEAT`). Stalls are
about *progress*: commits, a pull request, checks, a review, a merge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from config.repository import RepositoryConfig
from core.conflicts.summary import conflict_sentence, named
from core.escalation.model import EscalationCause
from core.review.definition_of_done import criteria_gaps, done_gaps, merge_gaps, review_gap
from core.stall.model import CheckWaitReason, EscalationStep, Stall, StallCause
from core.task.deadlines import STALL_CEILING, learned_patience, stall_after
from core.task.model import ChecksState, Flag, Pull, Role, Status, Task
from core.text_safety.sanitize import code
from core.texts.render import format_duration

_AGENT = (EscalationStep.NUDGE, EscalationStep.REASSIGN, EscalationStep.PERSON)
_PEOPLE = (EscalationStep.NUDGE, EscalationStep.PERSON)
_WORLD = (EscalationStep.LOOK, EscalationStep.PERSON)
# Others already work on it, so GitHub is asked again and no one is disturbed.
_OTHERS = (EscalationStep.LOOK,)
LADDERS: Mapping[StallCause, tuple[EscalationStep, ...]] = {
    StallCause.NO_ACK: _AGENT,
    StallCause.NO_PUSH: _AGENT,
    StallCause.QUESTION: _OTHERS,
    StallCause.CLAIMED: _PEOPLE,
    StallCause.CI_CONFLICT: _WORLD,
    StallCause.CI_APPROVAL: (EscalationStep.PERSON,),
    StallCause.CI_NOT_STARTED: _WORLD,
    StallCause.CI_SLOW: _WORLD,
    StallCause.WAITS: _OTHERS,
    StallCause.REVIEWER: _AGENT,
    StallCause.REVIEW: _PEOPLE,
    StallCause.CRITERIA: _PEOPLE,
    StallCause.BUTTON: _PEOPLE,
    StallCause.MERGE_REFUSED: _WORLD,
    StallCause.MERGE_QUEUE: _WORLD,
    StallCause.NOT_DONE: _PEOPLE,
    StallCause.UNHEARD: _WORLD,
}
# GitHub's refusal if only its merge queue may merge: "Changes must be made through the merge queue".
_QUEUE = re.compile(r"\bmerge queue\b", re.IGNORECASE)
# GitHub's refusal while a required check has not reported: `Required status check "tests" is expected.`
_EXPECTED = re.compile(r"\brequired status checks? .{0,200}\bexpected\b", re.IGNORECASE)


def escalate_after(after: timedelta) -> timedelta:
    """The time between two steps: half of the time that made it a stall."""
    return after / 2


def diagnose(task: Task, policy: RepositoryConfig, whom: Sequence[str] = ()) -> tuple[StallCause, str]:
    """Why a task in progress or in review does not move, in one sentence. `whom` are the people it would wait for."""
    pull = task.pull
    if task.status is Status.IN_PROGRESS or pull is None:
        return _at_work(task)
    if pull.merged:
        gaps = done_gaps(task)
        lack = f": {_lower(gaps[0])}" if gaps else "."
        return StallCause.NOT_DONE, f"#{pull.number} is merged, but the task is not done{lack}"
    if pull.draft:
        return StallCause.NO_PUSH, f"#{pull.number} became a draft again and has had no progress since."
    if pull.checks is ChecksState.PENDING:
        return _in_ci(pull)
    if task.held or task.waits_for or pull.waits_behind:
        return StallCause.WAITS, _waits(task, pull)
    if pull.mergeable_sha != pull.head_sha and not criteria_gaps(task):  # missing criteria are known for certain
        return (
            StallCause.UNHEARD,
            f"GitHub has not reported whether #{pull.number} can be merged into {code(pull.base)}.",
        )
    if task.review:
        return StallCause.REVIEWER, f"{code(task.review.agent)} has not finished its review of #{pull.number}."
    by = f" by {', '.join(map(code, whom))}" if whom else ""
    if review_gap(pull, policy.merge.review):
        if policy.merge.review == "agent":
            why = task.choice.reason if task.choice and task.choice.role is Role.REVIEW else "no agent has it"
            return (
                StallCause.REVIEW,
                f"#{pull.number} waits for a review by an agent ({why}), or{by or ' by a person'}.",
            )
        return StallCause.REVIEW, f"#{pull.number} waits for a review{by or ' by a person'}."
    if gaps := merge_gaps(task, policy.merge.review):
        return StallCause.CRITERIA, f"#{pull.number} is not merged: {_lower(gaps[0])}"
    return _at_merge(task, pull, policy, by)


def _at_work(task: Task) -> tuple[StallCause, str]:
    lease, call = task.lease, task.escalation
    if lease is None:
        return StallCause.UNHEARD, "No one holds the task, and it has no pull request."
    who = code(lease.agent)
    if lease.holder_id is not None:
        return StallCause.CLAIMED, f"{who} took the task and has shown no progress since."
    if call and call.cause is EscalationCause.QUESTION:
        return StallCause.QUESTION, f"{who} asked a question and waits for the answer."
    if lease.acknowledged_at is None:
        return StallCause.NO_ACK, f"{who} accepted the task but has not started."
    if lease.role is Role.PLAN:
        return StallCause.NO_PUSH, f"{who} is running but has delivered no plan."
    more = " more" if task.pull else ""
    return StallCause.NO_PUSH, f"{who} is running but has pushed nothing{more}."


def _in_ci(pull: Pull) -> tuple[StallCause, str]:
    number = f"#{pull.number}"
    if pull.trial and pull.trial.clean is False:
        files = named(pull.trial.files)
        why = f"it conflicts with {code(pull.base)} in {files}, and GitHub runs no checks until that is fixed"
        return StallCause.CI_CONFLICT, f"The checks of {number} do not start: {why}."
    match pull.checks_wait:
        case CheckWaitReason.APPROVAL:
            return StallCause.CI_APPROVAL, f"The checks of {number} do not start until a person approves them."
        case CheckWaitReason.QUEUED:
            return StallCause.CI_NOT_STARTED, f"The checks of {number} are queued, but no runner has started one."
        case CheckWaitReason.RUNNING:
            return StallCause.CI_SLOW, f"The checks of {number} have not finished."
        case _:
            return StallCause.CI_NOT_STARTED, f"No check of {number} has started."


def _waits(task: Task, pull: Pull) -> str:
    if task.held:
        return task.held.said
    if task.waits_for:
        return f"#{pull.number} is not merged before {', '.join(task.waits_for)} is done."
    return conflict_sentence(pull.waits_behind[0])


def _at_merge(task: Task, pull: Pull, policy: RepositoryConfig, by: str) -> tuple[StallCause, str]:
    if pull.merge_requested_sha == pull.head_sha:
        refused = task.flags.get(Flag.BLOCKED)
        if refused is None:
            return StallCause.MERGE_QUEUE, f"The bot asked GitHub to merge #{pull.number}, and GitHub has not done it."
        if _QUEUE.search(refused):
            return StallCause.MERGE_QUEUE, f"{code(pull.base)} accepts #{pull.number} only through its merge queue."
        if _EXPECTED.search(refused):
            return StallCause.CI_NOT_STARTED, f"#{pull.number} needs a check that never started. {refused}"
        return StallCause.MERGE_REFUSED, refused
    if not policy.merge.auto:
        return StallCause.BUTTON, f"Nothing is missing: #{pull.number} waits to be merged{by or ' by a person'}."
    return StallCause.UNHEARD, f"GitHub has reported nothing about #{pull.number}."


def _lower(sentence: str) -> str:
    """A sentence as the part of another one; names and numbers stay as they are."""
    first, _, _ = sentence.partition(" ")
    return sentence if not first.isalpha() else sentence[:1].lower() + sentence[1:]


_NEXT = {
    EscalationStep.LOOK: "the bot checks again",
    EscalationStep.NUDGE: "the bot notifies the people it waits for",
    EscalationStep.REASSIGN: "the bot gives it to another agent if one is free",
    EscalationStep.PERSON: "the bot calls for a person",
}


def said(stall: Stall) -> str:
    """Why it is stalled, which steps were taken and which is next, on one line."""
    told = [stall.reason, *stall.tried]
    if stall.next:
        told.append(f"At {stall.next_at:%Y-%m-%d %H:%M} UTC {_NEXT[stall.next]}, unless there is progress before.")
    return " ".join(told)


def steps(task: Task) -> tuple[str, str, str]:
    """Three things that a person can do about a stall, as Markdown."""
    stall, pull, lease = task.stall, task.pull, task.lease
    number = f"#{pull.number}" if pull else f"#{task.number}"
    finish = f"Finish it yourself: comment `/claim`.{f' Any commits are on {code(lease.branch)}.' if lease else ''}"
    page = f"[{number}]({pull.url})" if pull else number
    match stall.cause if stall else None:
        case StallCause.CI_APPROVAL:
            return (
                f"Check what {page} changes, then press *Approve and run workflows* there; the task then "
                "continues by itself.",
                "Allow that agent's workflows to run without approval, in the settings of Actions or of the agent.",
                f"Close {number}: the task goes to the next attempt.",
            )
        case StallCause.CI_NOT_STARTED | StallCause.CI_SLOW | StallCause.CI_CONFLICT:
            return (
                f"Look at the checks of {page}: is a runner online, does a job hang? Run them again there.",
                "Comment `/resolve rebase` to merge the base into its branch; all checks then run again.",
                "Comment `/retry` to start over, or `/claim` to finish it yourself.",
            )
        case StallCause.REVIEW | StallCause.REVIEWER:
            return (
                f"Review {page}: approve it or request changes.",
                "Add agents with the role `review` to `.github/orchestrator.yml`, or set `merge.review` there.",
                "Return the task to the queue (comment `/release`), or close the issue as not planned.",
            )
        case StallCause.CRITERIA | StallCause.NOT_DONE:
            return (
                "Tick the criteria that are met, or change them in the issue; to approve the text, comment `/ready`.",
                f"Request changes in a review of {page}."
                if pull and pull.open
                else "Comment `/complete` to see what is missing.",
                "Close the issue as completed, or as not planned.",
            )
        case StallCause.BUTTON | StallCause.MERGE_REFUSED | StallCause.MERGE_QUEUE | StallCause.UNHEARD:
            return (
                f"Merge {page} yourself, or put it into the merge queue.",
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
                finish,
            )


def patience_text(task: Task, policy: RepositoryConfig) -> str:
    """After how long without progress the task counts as stalled, and why; empty if it cannot stall."""
    if task.status not in (Status.IN_PROGRESS, Status.REVIEW):
        return ""
    configured, now = policy.timeouts.stall_timeout(task.priority.value), stall_after(task, policy.timeouts)
    text = f"It counts as stalled after {format_duration(now)} without progress"
    if now < configured:
        return f"{text}: only a person can start its checks."
    text += f" ({format_duration(configured)} for a {task.priority}"
    learned = learned_patience(task)
    if learned is None:
        return f"{text})."
    limit = min(configured * STALL_CEILING, policy.timeouts.attempt)
    text += f"; by this repository's latest attempts, an agent may take {format_duration(learned)} to hand in"
    return f"{text}, of which {format_duration(limit)} at most count)." if learned > limit else f"{text})."
