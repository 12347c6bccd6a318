"""A call for a person, as part of the task: why, who was called, who answered, and when the next call is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EscalationCause(StrEnum):
    """Why only a person can help."""

    ATTEMPTS = "attempts"  # they are used up
    QUESTION = "question"  # an agent asks something, and waits
    REVIEWER = "reviewer"  # no agent can review the pull request
    RIVALS = "rivals"  # it conflicts with a pull request, and neither can wait
    STALLED = "stalled"  # nothing moves, and what could be done about it was done
    ASKED = "asked"  # somebody said `/escalate`


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """One call for a person; a task has at most one that is open."""

    cause: EscalationCause
    reason: str  # cleaned, in one line
    topic: str  # tells it from other causes of the same task
    since: datetime  # when the cause arose: the way to the person is measured from here
    status: str  # of the task at that moment; where another one follows, the cause is gone
    attempt: int
    tried: tuple[str, ...] = ()  # the latest attempts, in short
    steps: tuple[str, ...] = ()  # three things that a person can do about it
    by: str = ""  # who asked for it; an answer of theirs is none
    level: str = ""  # of whom was called last
    called: tuple[str, ...] = ()  # everybody who was called, in order
    latest: tuple[str, ...] = ()  # those of the last call
    calls: int = 0
    repeats: int = 0  # calls since nobody new was left to call
    next_at: datetime | None = None  # of the next call, or of a reminder once somebody answered
    delivered_at: datetime | None = None  # when the first call reached GitHub or a channel
    comments: tuple[int, ...] = ()  # ids of the latest calls on GitHub: a reaction there is an answer
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None

    @property
    def key(self) -> str:
        """Tells it from every other one of the task, also of the same topic."""
        return f"{self.topic}:{self.since:%Y%m%d%H%M%S}"

    def has_called(self, login: str) -> bool:
        """Whether this person was called by name."""
        return login.casefold() in {one.casefold() for one in self.called}
