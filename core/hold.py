"""A person holds a task back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A person holds the task back until somebody lifts it: it is not handed out, and its work is not merged.

    `paused` holds back the clock as well: no wait runs out. `behind` names a task of the repository, `#12`: the hold
    is over when that one is.
    """

    by: str
    at: datetime
    reason: str = ""
    paused: bool = False
    behind: str = ""

    @property
    def said(self) -> str:
        """One sentence or two: who, why, and how it is lifted."""
        if self.behind:
            return f"Behind {self.behind}: queued there by {self.by}, until that is over. `/unblock` lifts it."
        why = f": {self.reason.rstrip('.')}" if self.reason else ""
        return f"{'Paused' if self.paused else 'Blocked'} by {self.by}{why}. `/{self.lifted_by}` lifts it."

    @property
    def lifted_by(self) -> str:
        """The command that lifts it."""
        return "resume" if self.paused else "unblock"
