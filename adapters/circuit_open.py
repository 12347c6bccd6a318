"""The error of a call to a service that is left alone for a while; apart, as both senders and `failures` know it."""

from __future__ import annotations

from datetime import datetime


class CircuitOpen(OSError):
    """The service is left alone until `retry_at`; nothing was sent."""

    def __init__(self, reason: str, retry_at: datetime) -> None:
        super().__init__(reason)
        self.retry_at = retry_at
