"""Limits how much one process accepts at a time; beyond that it rejects requests before anything breaks.

GitHub gets 503 with `Retry-After`, and the bot requests the delivery again later (`scheduler.redelivery`). Deliveries
that were accepted are handled meanwhile.
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
REFRESH_SECONDS = 1.0  # between two looks at the number of deliveries that wait
MAX_YIELD_SECONDS = 0.05  # at most; GitHub waits for its response, and no one waits for a job
MEMORY_CACHE_SECONDS = 0.1  # for which a measure of the memory is good enough
SMALL_BODY_BYTES = 64 * 1024  # bytes of a body that need not wait for a large one
RETRY_SOON_SECONDS = 5  # seconds in `Retry-After` if there are too many requests at this moment
RETRY_LATER_SECONDS = 30  # and if it takes longer until there is capacity
_STATM_PATH = "/proc/self/statm"


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How much is accepted: the settings of the same names, and limits that need no setting."""

    memory_mb: int = 512
    max_queued_deliveries: int = 20_000  # deliveries that are not handled yet
    max_concurrent_requests: int = 200  # deliveries that are being answered
    max_buffered_body_mb: int = 32  # all bodies that are in memory; one of the largest always fits
    max_connections: int = 500
    header_timeout_seconds: float = 75.0  # until a request has come with all its headers
    scarce_idle_seconds: float = 5.0  # the same, while more than half of the connections are in use
    body_timeout_seconds: float = 10.0  # until its body has come; GitHub hangs up after ten seconds
    linger_seconds: float = 2.0  # for which the body of a rejected request is still read
    body_wait_seconds: float = 4.0  # seconds that a body waits for memory
    store_timeout_seconds: float = 4.5  # until the database has it


class Overloaded(Exception):
    """Nothing more is accepted now; `after` is in how many seconds to try again, the text is the reason."""

    def __init__(self, reason: str, retry_after_seconds: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


def memory_mb() -> float:
    """The present resident memory of this process in MB; the peak if the system does not report it."""
    try:
        with open(_STATM_PATH, "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return peak_memory_mb()
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def peak_memory_mb() -> float:
    """The largest resident memory that this process ever had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MEGABYTE if sys.platform == "darwin" else peak / 1024


def process_memory_mb(pid: int) -> tuple[float, float]:
    """The present and peak resident memory of another process in MB; 0 if unknown.

    Memory shared since the fork counts in both.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            fields = dict(line.split(":", 1) for line in file if line.startswith(("VmRSS", "VmHWM")))
        return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError, ValueError):
        return 0.0, 0.0


def malloc_trim() -> None:
    """Return free memory to the system, if the C library can."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


@dataclass(slots=True)
class AdmissionControl:
    """Compares the present load with the limits."""

    limits: AdmissionLimits
    queued_deliveries: int = 0  # as of the last look
    active_requests: int = 0
    buffered_bytes: int = 0  # bytes of bodies
    worker_pid: int = 0  # the worker process, if this one only accepts requests; its memory counts as well
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _memory_mb: float = 0
    _measured_at: float = -MEMORY_CACHE_SECONDS - 1
    _waiters: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque)

    def memory_mb(self) -> float:
        """What the bot uses, in MB, or used a moment ago."""
        if monotonic() - self._measured_at > MEMORY_CACHE_SECONDS:
            worker_memory_mb = process_memory_mb(self.worker_pid)[0] if self.worker_pid else 0
            self._memory_mb, self._measured_at = memory_mb() + worker_memory_mb, monotonic()
        return self._memory_mb

    def peak_memory_mb(self) -> float:
        """The most that it ever used, in MB."""
        return peak_memory_mb() + (process_memory_mb(self.worker_pid)[1] if self.worker_pid else 0)

    def overload(self) -> Overloaded | None:
        """Why nothing more can be accepted now, if so."""
        limits = self.limits
        if (used_mb := self.memory_mb()) > limits.memory_mb:
            return Overloaded(
                f"memory: {used_mb:.0f} MB are in use, the limit is {limits.memory_mb}", RETRY_LATER_SECONDS
            )
        if self.queued_deliveries > limits.max_queued_deliveries:
            return Overloaded(
                f"queue: more than {limits.max_queued_deliveries} deliveries wait to be handled", RETRY_LATER_SECONDS
            )
        if self.active_requests >= limits.max_concurrent_requests:
            return Overloaded(
                f"requests: {limits.max_concurrent_requests} deliveries are in progress", RETRY_SOON_SECONDS
            )
        return None

    @asynccontextmanager
    async def request_slot(self) -> AsyncIterator[None]:
        """Count one more request. Raises `Overloaded`."""
        if overloaded := self.overload():
            raise overloaded
        self.active_requests += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.active_requests -= 1
            if not self.active_requests:
                self._idle.set()

    async def yield_to_requests(self) -> None:
        """Let background work wait briefly for requests that are being answered now."""
        if self.active_requests:
            with suppress(TimeoutError):
                async with asyncio.timeout(MAX_YIELD_SECONDS):
                    await self._idle.wait()

    @asynccontextmanager
    async def buffer_body(self, size: int) -> AsyncIterator[None]:
        """Reserve memory for a body of so many bytes, first come, first served. Raises `Overloaded` if it is not free
        in time.
        """
        await self._acquire_buffer(size)
        try:
            yield
        finally:
            self._release_buffer(size)

    async def refresh(self, database: Database) -> None:
        """Read the number of waiting deliveries; above the memory limit, return free memory."""
        async with database.autocommit() as connection:
            self.queued_deliveries = await count_unhandled(connection, self.limits.max_queued_deliveries + 1)
        if memory_mb() > self.limits.memory_mb:
            gc.collect()
            malloc_trim()

    async def watch(self, database: Database) -> None:
        """Refresh repeatedly until cancelled; log the beginning and end of an overload."""
        reported_kind = ""
        while True:
            try:
                await self.refresh(database)
            except Exception as error:  # the database is away: then nothing can be stored anyway
                log.warning("admission_refresh_failed", error=str(error))
            overloaded = self.overload()
            kind = overloaded.reason.partition(":")[0] if overloaded else ""
            if kind != reported_kind:
                log.warning(
                    "admission_overloaded" if kind else "admission_recovered", reason=overloaded and overloaded.reason
                )
                reported_kind = kind
            await asyncio.sleep(REFRESH_SECONDS)

    async def _acquire_buffer(self, size: int) -> None:
        if self._fits(size) and (not self._waiters or size <= SMALL_BODY_BYTES):
            self.buffered_bytes += size
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((size, waiter))
        try:
            async with asyncio.timeout(self.limits.body_wait_seconds):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._release_buffer(size)  # the memory was granted in this very moment
            elif (size, waiter) in self._waiters:
                self._waiters.remove((size, waiter))
                self._wake_waiters()
            if isinstance(error, TimeoutError):
                raise Overloaded(
                    f"bodies: {self.limits.max_buffered_body_mb} MB are being received", RETRY_SOON_SECONDS
                ) from None
            raise

    def _release_buffer(self, size: int) -> None:
        self.buffered_bytes -= size
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        while self._waiters and self._fits(self._waiters[0][0]):
            size, waiter = self._waiters.popleft()
            if not waiter.done():  # a cancelled waiter is about to leave the queue
                self.buffered_bytes += size
                waiter.set_result(None)

    def _fits(self, size: int) -> bool:
        return not self.buffered_bytes or self.buffered_bytes + size <= self.limits.max_buffered_body_mb * MEGABYTE
