"""The clocks of a running bot: the machine's, and the one that all replicas share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from core.clock import Clock


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        await asyncio.sleep(seconds)


class CommonClock:
    """One time for all replicas: that of the database, whatever the machine's own clock says.

    Between two agreements the machine's clock goes on; how far it is off is what `agree` finds out.
    """

    def __init__(self, told: Callable[[], Awaitable[datetime]], own: Clock) -> None:
        """`told` asks for the common time; `own` is used until the first agreement."""
        self._told = told
        self._own = own
        self._off = timedelta()

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return self._own.now() + self._off

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        await self._own.sleep(seconds)

    async def agree(self) -> timedelta:
        """Ask what time it is; gives how far our own clock is behind. What took long to hear is half as old."""
        asked = self._own.now()
        told = await self._told()
        heard = self._own.now()
        self._off = told - (asked + (heard - asked) / 2)
        return self._off
