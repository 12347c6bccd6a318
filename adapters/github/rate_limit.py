"""Defines the interface between calls to GitHub and the rate limiter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from adapters.github.errors import RateLimited
from core.effects.priority import SendPriority
from core.rate_limits import Write


class RateLimitWait(RateLimited):
    """The bot must wait to stay within GitHub's limits: nothing was sent."""

    def __init__(self, retry_at: datetime) -> None:
        super().__init__(
            "delayed by the bot's rate limiter", retry_at=retry_at, secondary=False, status=0, request_id=""
        )


def sender_name(installation_id: int) -> str:
    """The name under which an installation sends."""
    return f"installation:{installation_id}"


@dataclass(slots=True)
class RateLimitContext:
    """The context of calls. `writes` counts those that were admitted."""

    priority: SendPriority = SendPriority.ANSWER
    has_waited: bool = False  # it was held back before, and has come back
    write_count: int = 0
    has_started: bool = False  # its first write was admitted, or it needs none: from then on calls may have been made
    reserved_write: Write | None = None  # a write that was admitted, and is still to come


class Limiter(Protocol):
    """Keeps what one sender (`installation:7`) sends within GitHub's limits."""

    async def reserve(self, sender: str, context: RateLimitContext, *, content: bool) -> None:
        """Return when a write may go; the context then holds it. Raises RateLimitWait like `acquire`."""
        ...

    def release(self, sender: str, context: RateLimitContext) -> None:
        """The write that `passage` holds, if it still does, is not made."""
        ...

    async def acquire(
        self, sender: str, context: RateLimitContext, resource: str, *, is_write: bool, content: bool
    ) -> None:
        """Return when the call may go. Raises RateLimitWait if that takes longer than is worth waiting here."""
        ...

    def count_request(self, sender: str, *, is_write: bool) -> None:
        """Count a further request of an admitted call: it was redirected."""
        ...

    def update_limit(self, sender: str, resource: str, limit: int, remaining: int, reset_at: datetime) -> None:
        """Record the limit by the hour from a response."""
        ...

    async def block_until(self, sender: str, until: datetime) -> None:
        """GitHub asks this sender to wait."""
        ...
