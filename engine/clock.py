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


class SyncedClock:
    """One time for all replicas: that of the database, whatever the machine's own clock says.

    Between two agreements the machine's clock goes on; how far it is off is what `agree` finds out.
    """

    def __init__(self, read_time: Callable[[], Awaitable[datetime]], local: Clock) -> None:
        """`told` asks for the common time; `own` is used until the first agreement."""
        self._read_time = read_time
        self._local = local
        self._offset = timedelta()

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return self._local.now() + self._offset

    async def sleep(self, seconds: float) -> None:
        """Let that much time pass."""
        await self._local.sleep(seconds)

    async def sync(self) -> timedelta:
        """Ask what time it is; gives how far our own clock is behind. What took long to hear is half as old."""
        started_at = self._local.now()
        common_time = await self._read_time()
        finished_at = self._local.now()
        self._offset = common_time - (started_at + (finished_at - started_at) / 2)
        return self._offset
