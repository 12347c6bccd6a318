"""What one process takes in at the same time: beyond that it says so, at once, before anything breaks.

GitHub is told 503 with `Retry-After`, and is asked for the delivery again later (`scheduler.redelivery`). What was
taken is worked on meanwhile.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

import structlog

from adapters.database.database import Database
from adapters.database.deliveries import count_unhandled

log = structlog.get_logger()

MEGABYTE = 1024 * 1024
LOOK_SECONDS = 1.0  # between two looks at the number of deliveries that wait
GIVE_WAY_SECONDS = 0.05  # at most; GitHub waits for its answer, and a job for nobody
MEASURED_SECONDS = 0.1  # for which a measure of the memory is good enough
SMALL = 64 * 1024  # bytes of a body that need not stand in line behind a large one
SOON = 5  # seconds that are asked for when there is too much at the same moment
LATER = 30  # and when it takes longer until there is room
_STATM = "/proc/self/statm"


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How much is taken in; the settings of the same names, and what is not worth a setting."""

    memory_mb: int = 512
    waiting: int = 20_000  # deliveries that are not handled
    requests: int = 200  # deliveries that are being answered
    body_mb: int = 32  # all bodies that are in memory; one of the largest always fits
    connections: int = 500
    header_timeout_seconds: float = 75.0  # until a request has come with all its headers
    body_timeout_seconds: float = 10.0  # until its body has come; GitHub hangs up after ten seconds
    linger_seconds: float = 2.0  # for which the body of a request that was refused is still taken off the line
    patience: float = 4.0  # seconds that a body waits for others to go
    store_seconds: float = 4.5  # until the database has it


class Overloaded(Exception):
    """No more now; `after` is in how many seconds it may be tried again, the text is the reason."""

    def __init__(self, reason: str, after: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


def memory_mb() -> float:
    """The resident memory of this process in MB, as it is now; where the system does not tell, the largest ever."""
    try:
        with open(_STATM, "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return peak_mb()
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def peak_mb() -> float:
    """The largest resident memory that this process ever had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MEGABYTE if sys.platform == "darwin" else peak / 1024


def memory_of(pid: int) -> tuple[float, float]:
    """The resident memory of another process in MB, as it is now and at its largest; 0 where that cannot be told.

    What both have from before they parted counts in both.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            told = dict(line.split(":", 1) for line in file if line.startswith(("VmRSS", "VmHWM")))
        return int(told["VmRSS"].split()[0]) / 1024, int(told["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError, ValueError):
        return 0.0, 0.0


def malloc_trim() -> None:
    """Return to the system what is free but kept, if the C library can."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


@dataclass(slots=True)
class AdmissionControl:
    """What is being taken in, held against the limits."""

    limits: AdmissionLimits
    waiting: int = 0  # as of the last look
    requests: int = 0
    held: int = 0  # bytes of bodies
    beside: int = 0  # the process that works, where this one only takes in; its memory counts as well
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _memory: float = 0
    _measured_at: float = -MEASURED_SECONDS - 1
    _line: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    def memory(self) -> float:
        """What the bot uses, in MB, or used a moment ago."""
        if monotonic() - self._measured_at > MEASURED_SECONDS:
            other = memory_of(self.beside)[0] if self.beside else 0
            self._memory, self._measured_at = memory_mb() + other, monotonic()
        return self._memory

    def peak(self) -> float:
        """The most that it ever used, in MB."""
        return peak_mb() + (memory_of(self.beside)[1] if self.beside else 0)

    def reason(self) -> Overloaded | None:
        """Why nothing more can be taken in now, if so."""
        limits = self.limits
        if (used := self.memory()) > limits.memory_mb:
            return Overloaded(f"memory: {used:.0f} MB are in use, the limit is {limits.memory_mb}", LATER)
        if self.waiting > limits.waiting:
            return Overloaded(f"queue: more than {limits.waiting} deliveries wait to be handled", LATER)
        if self.requests >= limits.requests:
            return Overloaded(f"requests: {limits.requests} deliveries are in progress", SOON)
        return None

    @asynccontextmanager
    async def request_slot(self) -> AsyncIterator[None]:
        """One more delivery is being answered; raises `Overloaded`."""
        if overloaded := self.reason():
            raise overloaded
        self.requests += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self.requests -= 1
            if not self.requests:
                self._quiet.set()

    async def yield_to_requests(self) -> None:
        """Whoever works in the background lets those go first that are being answered now, but not for long."""
        if self.requests:
            with suppress(TimeoutError):
                async with asyncio.timeout(GIVE_WAY_SECONDS):
                    await self._quiet.wait()

    @asynccontextmanager
    async def body(self, size: int) -> AsyncIterator[None]:
        """Room for a body of so many bytes; raises `Overloaded` when none comes in time. First come, first served."""
        await self._take(size)
        try:
            yield
        finally:
            self._give(size)

    async def look(self, database: Database) -> None:
        """See how many deliveries wait; above the limit of memory, give back what is not used."""
        async with database.autocommit() as connection:
            self.waiting = await count_unhandled(connection, self.limits.waiting + 1)
        if memory_mb() > self.limits.memory_mb:
            gc.collect()
            malloc_trim()

    async def watch(self, database: Database) -> None:
        """Look again and again, until cancelled; tell when it gets too much, and when that is over."""
        told = ""
        while True:
            try:
                await self.look(database)
            except Exception as error:  # the database is away: then nothing can be stored anyway
                log.warning("admission_refresh_failed", error=str(error))
            overloaded = self.reason()
            kind = overloaded.reason.partition(":")[0] if overloaded else ""
            if kind != told:
                log.warning(
                    "admission_overloaded" if kind else "admission_recovered", reason=overloaded and overloaded.reason
                )
                told = kind
            await asyncio.sleep(LOOK_SECONDS)

    async def _take(self, size: int) -> None:
        if self._fits(size) and (not self._line or size <= SMALL):
            self.held += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((size, turn))
        try:
            async with asyncio.timeout(self.limits.patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give(size)  # its turn came in the very moment
            elif (size, turn) in self._line:
                self._line.remove((size, turn))
                self._next()
            if isinstance(error, TimeoutError):
                raise Overloaded(f"bodies: {self.limits.body_mb} MB are being received", SOON) from None
            raise

    def _give(self, size: int) -> None:
        self.held -= size
        self._next()

    def _next(self) -> None:
        while self._line and self._fits(self._line[0][0]):
            size, turn = self._line.popleft()
            if not turn.done():  # whoever gave up is about to leave the line
                self.held += size
                turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return not self.held or self.held + size <= self.limits.body_mb * MEGABYTE
