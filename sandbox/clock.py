"""The sandbox's clocks: the only source of times and waits in the sandbox."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sandbox.idle import PendingWork, current_work


class Clock(Protocol):
    """What the sandbox needs of a clock."""

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds of this clock have passed."""
        ...


class RealClock:
    """Real time, optionally faster; with `speed=60` a minute of the sandbox passes in a second.

    Raises `ValueError` when `speed` is not above 0.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self._speed = speed
        self._start = datetime.now(UTC)
        self._monotonic = time.monotonic()

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        return self._start + timedelta(seconds=(time.monotonic() - self._monotonic) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Return when so many seconds of this clock have passed."""
        work = current_work.get()
        if work is not None:
            work.pause()
        try:
            await asyncio.sleep(max(0.0, seconds) / self._speed)
        finally:
            if work is not None:
                work.resume()


class ManualClock:
    """A clock that stops until a test advances it."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock starts at an aware datetime, for example datetime(2026, 3, 2, tzinfo=UTC)")
        self._now = start.astimezone(UTC)
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None], PendingWork | None]] = []
        self._sleeper_added = asyncio.Event()

    def now(self) -> datetime:
        """The time now, aware, in UTC."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has been advanced by so many seconds."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        work = current_work.get()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (due, next(self._order), future, work))
        if work is not None:
            work.pause()
        self._sleeper_added.set()
        try:
            await future
        except asyncio.CancelledError:
            # A sleeper that was already woken has been resumed by `advance`.
            if future.cancelled() and work is not None:
                work.resume()
            raise

    def advance(self, seconds: float) -> None:
        """Advance the clock by so many seconds (≥ 0) and wake the sleepers that are due, in order."""
        if seconds < 0:
            raise ValueError("a clock cannot go back")
        self._now += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future, work = heapq.heappop(self._sleepers)
            if not future.done():
                if work is not None:
                    work.resume()
                future.set_result(None)

    async def wait_for_sleeper(self) -> None:
        """Return as soon as at least one task sleeps on this clock."""
        while self.next_due is None:
            self._sleeper_added.clear()
            await self._sleeper_added.wait()

    @property
    def next_due(self) -> datetime | None:
        """When the next sleeper wakes; None when there is none."""
        return min((due for due, _, future, _ in self._sleepers if not future.done()), default=None)


def timestamp(moment: datetime) -> str:
    """A time as GitHub writes it: whole seconds, `2026-03-02T09:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp_or_none(moment: datetime | None) -> str | None:
    """The same for a time that may be None."""
    return None if moment is None else timestamp(moment)
