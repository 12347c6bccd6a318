"""The way out to GitHub: who goes through it, and who keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from adapters.github.errors import RateLimited
from core.effects.priority import Lane
from core.rate_limits import Write


class Throttled(RateLimited):
    """We ask ourselves to wait, so that GitHub does not have to: nothing was sent."""

    def __init__(self, retry_at: datetime) -> None:
        super().__init__(
            "delayed by the bot's rate limiter", retry_at=retry_at, secondary=False, status=0, request_id=""
        )


def sender_of(installation_id: int) -> str:
    """The name under which an installation sends."""
    return f"installation:{installation_id}"


@dataclass(slots=True)
class Passage:
    """On what errand calls are made. `writes` counts those that were let through."""

    lane: Lane = Lane.ANSWER
    waited: bool = False  # it was held back before, and has come back
    writes: int = 0
    begun: bool = False  # its first write was admitted, or it needs none: from then on calls may have been made
    reserved: Write | None = None  # a write that was admitted, and is still to come


class Gate(Protocol):
    """Keeps what one sender (`installation:7`) sends within GitHub's limits."""

    async def reserve(self, sender: str, passage: Passage, *, content: bool) -> None:
        """Return when a write may go, which `passage` then holds; raises Throttled like `enter`."""
        ...

    def release(self, sender: str, passage: Passage) -> None:
        """The write that `passage` holds, if it still does, is not made."""
        ...

    async def enter(self, sender: str, passage: Passage, resource: str, *, writes: bool, content: bool) -> None:
        """Return when the call may go; raises Throttled if that takes longer than is worth waiting here."""
        ...

    def spent(self, sender: str, *, writes: bool) -> None:
        """A further request of a call that was let through: it was led on elsewhere."""
        ...

    def heard(self, sender: str, resource: str, limit: int, remaining: int, reset_at: datetime) -> None:
        """An answer told of the limit by the hour."""
        ...

    async def refused(self, sender: str, until: datetime) -> None:
        """GitHub asks this sender to wait."""
        ...
