"""The clock as a parameter, so that tests can turn it."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time and lets it pass."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let that much time pass."""
        ...
