"""A stall, as part of the task: nothing has moved for longer than it should, why, and what is done about it when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class StallCause(StrEnum):
    """Why nothing moves, by what is known of the task; each has a ladder of its own (`core.stall.rules.LADDERS`)."""

    NO_ACK = "no acknowledgement"  # the agent has the task, and has not begun
    NO_PUSH = "no push"  # the agent shows life, and hands in nothing
    QUESTION = "question"  # the agent waits for an answer; a person was called for that already
    CLAIMED = "claimed"  # a person took it
    CI_CONFLICT = "CI never started: conflict"  # GitHub runs nothing for a pull request that conflicts
    CI_APPROVAL = "CI never started: approval"  # it runs nothing until a person has looked at it
    CI_NOT_STARTED = "CI never started"  # no check has begun
    CI_SLOW = "CI slow"
    WAITS = "waits for others"  # another pull request or task comes first, or somebody holds it back
    REVIEWER = "reviewer"  # an agent reviews, and gives no verdict
    REVIEW = "review waiting"  # nobody has reviewed it
    CRITERIA = "criteria waiting"  # nobody has ticked the acceptance criteria, or approved the text
    BUTTON = "merge waiting"  # everything is in place, and somebody has to press the button
    MERGE_REFUSED = "merge refused"
    MERGE_QUEUE = "merge queue"  # the merge was asked for, and GitHub does not do it
    NOT_DONE = "not done"  # merged, but not done
    UNHEARD = "no answer"  # what was asked of GitHub or the mirror has not been answered


class EscalationStep(StrEnum):
    """What can be done about a stall; a ladder is climbed from the first to the last of its rungs."""

    LOOK = "look"  # ask the world again: an answer may have been lost
    NUDGE = "nudge"  # tell whoever it waits for
    REASSIGN = "reassign"
    PERSON = "person"  # a call, like any other


class CheckWaitReason(StrEnum):
    """What checks wait for that have not ended."""

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
    at: datetime  # when it was found
    after: timedelta  # how long nothing had to move
    next_at: datetime  # when the next rung is climbed, or it is looked at again
    climbed: tuple[EscalationStep, ...] = ()
    next: EscalationStep | None = None  # None: everything was tried
    tried: tuple[str, ...] = ()  # what was done, a sentence of Markdown each
    told: tuple[str, ...] = ()  # the people who were told; their answer gives them time

    @property
    def topic(self) -> str:
        """Tells it from other stalls of the task."""
        return f"stall:{self.at:%Y%m%d%H%M%S}"
