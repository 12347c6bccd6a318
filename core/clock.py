"""Makes the clock a parameter, so that tests can control it."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the current time that can also sleep."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait for a duration."""
        ...
