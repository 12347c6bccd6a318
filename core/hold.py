"""A person holds a task back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A person holds the task back until somebody lifts it: it is not handed out, and its work is not merged.

    `paused` holds back the clock as well: no wait runs out.
    """

    by: str
    at: datetime
    reason: str = ""
    paused: bool = False

    @property
    def said(self) -> str:
        """One sentence or two: who, why, and how it is lifted."""
        why = f": {self.reason.rstrip('.')}" if self.reason else ""
        return f"{'Paused' if self.paused else 'Blocked'} by {self.by}{why}. `/{self.lifted_by}` lifts it."

    @property
    def lifted_by(self) -> str:
        """The command that lifts it."""
        return "resume" if self.paused else "unblock"
