"""Describes a stall, as part of the task: cause, steps taken, next step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class StallCause(StrEnum):
    """Why nothing moves; each cause has its own steps (`core.stall.rules.LADDERS`)."""

    NO_ACK = "no acknowledgement"  # the agent has the task, and has not begun
    NO_PUSH = "no push"  # the agent is alive, but hands in nothing
    QUESTION = "question"  # the agent waits for an answer; an escalation is open
    CLAIMED = "claimed"  # a person claimed it
    CI_CONFLICT = "CI never started: conflict"  # GitHub starts no checks for a pull request that conflicts
    CI_APPROVAL = "CI never started: approval"  # GitHub starts no checks until a person approves them
    CI_NOT_STARTED = "CI never started"  # no check has started
    CI_SLOW = "CI slow"
    WAITS_FOR_OTHERS = "waits for others"  # another pull request or task comes first, or a person holds it
    REVIEWER = "reviewer"  # an agent reviews, and gives no verdict
    REVIEW = "review waiting"  # no review has been submitted
    CRITERIA = "criteria waiting"  # the acceptance criteria are not ticked, or the text is not approved
    MANUAL_MERGE = "merge waiting"  # everything is ready, and a person must press the button
    MERGE_REFUSED = "merge refused"
    MERGE_QUEUE = "merge queue"  # the merge was requested, and GitHub does not perform it
    NOT_DONE = "not done"  # merged, but not done
    NO_ANSWER = "no answer"  # a request to GitHub or the mirror has had no answer


class EscalationStep(StrEnum):
    """The steps against a stall, taken in order."""

    RECHECK = "look"  # ask GitHub again: an answer may have been lost
    REMIND = "nudge"  # remind the agent or person it waits for
    REASSIGN = "reassign"
    ESCALATE = "person"  # an escalation


class CheckWaitReason(StrEnum):
    """What unfinished checks wait for."""

    NOTHING = "nothing has begun"
    APPROVAL = "approval"
    QUEUED = "queued"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Stall:
    """One stall of one task. Progress of any kind ends it."""

    cause: StallCause
    reason: str  # one sentence, cleaned
    since: datetime  # the last progress
    detected_at: datetime  # when it was found
    threshold: timedelta  # the time without progress that made it a stall
    next_at: datetime  # the next step, or the next look at it
    steps_taken: tuple[EscalationStep, ...] = ()
    next_step: EscalationStep | None = None  # None: all steps were taken
    actions_taken: tuple[str, ...] = ()  # the steps taken, a sentence of Markdown each
    notified: tuple[str, ...] = ()  # the people who were reminded; their answer gives them time

    @property
    def topic(self) -> str:
        """Identifies it among the stalls of the task."""
        return f"stall:{self.detected_at:%Y%m%d%H%M%S}"
