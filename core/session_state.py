"""How the work of an agent on one attempt goes."""

from __future__ import annotations

from enum import StrEnum


class SessionState(StrEnum):
    """How the work of an agent on one attempt goes, in one vocabulary for every kind of agent."""

    QUEUED = "queued"  # accepted, not begun: it is there, and slow is not dead
    WORKING = "working"
    NEEDS_INPUT = "needs-input"  # it asks a person something
    PAUSED = "paused"
    DELIVERED = "delivered"  # it says that it is done
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes from this session."""
        return self in (self.DELIVERED, self.FAILED, self.CANCELLED, self.TIMED_OUT)
