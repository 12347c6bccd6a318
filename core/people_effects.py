"""Effects that reach people; `core.effects` has them with all others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from core.lanes import Lane


@dataclass(frozen=True, slots=True)
class CallPeople:
    """A comment that mentions people, and those of them who can be assigned are assigned to the issue."""

    state: ClassVar[bool] = False
    lane: ClassVar[Lane] = Lane.ANSWER
    number: int
    escalation: str  # `Escalation.key`
    call: int  # counts from 1
    body: str
    assign: tuple[str, ...]  # logins; nobody for a reminder
    since: datetime  # when the cause arose, or the call before this one was made

    @property
    def key(self) -> str:
        """One per call of an escalation."""
        return f"call:{self.number}:{self.escalation}:{self.call}"
