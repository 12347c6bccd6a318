"""Describes an escalation, as part of the task: cause, people notified, answer, next notification."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EscalationCause(StrEnum):
    """Why only a person can help."""

    ATTEMPTS = "attempts"  # they are used up
    QUESTION = "question"  # an agent asks a question and waits
    REVIEWER = "reviewer"  # no agent can review the pull request
    CONFLICT = "rivals"  # it conflicts with a pull request, and neither can wait
    STALLED = "stalled"  # nothing moves, and all other steps were taken
    REQUESTED = "asked"  # a user gave the command `/escalate`


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """One escalation; a task has at most one open escalation."""

    cause: EscalationCause
    reason: str  # cleaned, in one line
    topic: str  # distinguishes it from other causes of the same task
    since: datetime  # when the cause arose: the time to the person is measured from here
    status: str  # of the task at that moment; when it changes, the cause is gone
    attempt: int
    attempted: tuple[str, ...] = ()  # the latest attempts, in short
    suggestions: tuple[str, ...] = ()  # three things that a person can do
    requested_by: str = ""  # the user who asked for it; their own comments do not answer it
    level: str = ""  # the level that was notified last
    notified: tuple[str, ...] = ()  # everyone who was notified, in order
    last_notified: tuple[str, ...] = ()  # the people of the last notification
    notification_count: int = 0
    repeat_count: int = 0  # notifications since the last new person was notified
    next_at: datetime | None = None  # the next notification, or a reminder after an answer
    delivered_at: datetime | None = None  # when the first notification reached GitHub or a channel
    comment_ids: tuple[int, ...] = ()  # ids of the latest notifications on GitHub: a reaction there is an answer
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None

    @property
    def key(self) -> str:
        """Identifies it among all escalations of the task, also on the same topic."""
        return f"{self.topic}:{self.since:%Y%m%d%H%M%S}"

    def has_notified(self, login: str) -> bool:
        """Whether this person was notified by name."""
        return login.casefold() in {name.casefold() for name in self.notified}
