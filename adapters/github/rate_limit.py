"""Defines the context of calls to GitHub, by which the rate limiter decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
