"""Limits the requests of each credential by a budget that all replicas share, so that GitHub never has to refuse one.

The budget is kept in a `BudgetStore`. A write is entered there before it is sent, and counts only if no other replica
saved the budget meanwhile; otherwise the limiter loads it and decides again, and no replica waits for a lock. Reads are
many and cheap: they are counted here, and entered with the next write or every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from adapters.github.rate_limit import RateLimitContext, RateLimitWait
from core.clock import Clock
from core.effects.priority import SendPriority
from core.rate_limits import (
    Admission,
    PrimaryLimit,
    RateLimitRequest,
    RateLimits,
    RateLimitState,
    Refund,
    Write,
    try_acquire,
)

SYNC_INTERVAL_SECONDS = 5.0  # seconds after which reads are entered at the next one
URGENT_WAIT_SECONDS = 2.0  # seconds that a start or an answer waits in place for its slot
SHORT_WAIT_SECONDS = 0.05  # seconds that any other write does: it must not keep a worker from what is more important
RESERVATION_SECONDS = 4.0  # seconds within which a reserved write has to go; less than `core.rate_limits.SLACK`

OnWait = Callable[[SendPriority], None]


class BudgetConnection(Protocol):
    """Loads and saves budgets over one connection."""

    async def load(self, credential: str) -> tuple[int, RateLimitState]:
        """Return the budget of a credential (`installation:7`) and its version: 0 and a full one if there is none."""

    async def save(self, credential: str, version: int, budget: RateLimitState) -> bool:
        """Save the budget that follows `version`; return false if another replica was quicker."""


class BudgetStore(Protocol):
    """Keeps the budgets that all replicas share."""

    def connect(self) -> AbstractAsyncContextManager[BudgetConnection]:
        """Open a connection for a few loads and saves."""


@dataclass(frozen=True, slots=True)
class _PendingUsage:
    """What this process knows and the row does not."""

    points: int = 0
    primary: Mapping[str, PrimaryLimit] = field(default_factory=dict)
    blocked_until: float = 0.0
    refunds: tuple[Refund, ...] = ()

    def apply_to(self, state: RateLimitState, now: float, limits: RateLimits) -> RateLimitState:
        for refund in self.refunds:
            state = state.apply_refund(refund, now, limits)
        for resource, primary in self.primary.items():
            state = state.with_primary(resource, primary)
        if self.blocked_until:
            state = state.with_block(self.blocked_until)
        return state.add_points(now, self.points)

    def merge(self, other: _PendingUsage) -> _PendingUsage:
        primary = dict(self.primary)
        for resource, limit in other.primary.items():
            primary[resource] = primary[resource].merge(limit) if resource in primary else limit
        blocked_until = max(self.blocked_until, other.blocked_until)
        return _PendingUsage(self.points + other.points, primary, blocked_until, self.refunds + other.refunds)


@dataclass(slots=True)
class _Usage:
    """What this process knows of one sender."""

    version: int = 0
    stored: RateLimitState = field(default_factory=RateLimitState)  # as the row was when it was last read or written
    read_at: float | None = None
    pending: _PendingUsage = field(default_factory=_PendingUsage)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimiter:
    """Keeps what each sender (`installation:7`) sends within GitHub's limits."""

    def __init__(self, store: BudgetStore, clock: Clock, limits: RateLimits, on_wait: OnWait | None = None) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._on_wait = on_wait
        self._usage_by_sender: dict[str, _Usage] = {}

    async def reserve(self, sender: str, context: RateLimitContext, *, content: bool) -> None:
        """Return when a write may go; it is recorded, and the context's next write uses it.

        So nothing is read for a write that then has to wait. An unused write is `release`d, and one that is held for
        longer than `RESERVATION_SECONDS` loses its slot: a replica that dies blocks no other.
        """
        self.release(sender, context)
        context.reserved_write = await self._acquire_write(
            sender, RateLimitRequest(context.priority, True, content, is_retry=context.has_waited)
        )

    def release(self, sender: str, context: RateLimitContext) -> None:
        """The write that `context` holds, if it still does, is not made: what was entered for it is free again."""
        reserved, context.reserved_write = context.reserved_write, None
        if reserved is not None:
            self._add_pending(sender, _PendingUsage(refunds=(Refund(reserved),)))

    async def acquire(
        self, sender: str, context: RateLimitContext, resource: str, *, is_write: bool, content: bool
    ) -> None:
        """Return when the call may go. Raises RateLimitWait if it has to wait, with only its place in the queue
        recorded.

        Every write asks for itself, so that more urgent writes may go between two writes of one context.
        """
        request = RateLimitRequest(context.priority, is_write, content, resource, context.has_waited)
        if is_write:
            if not self._use_reservation(sender, context, content=content):
                await self._acquire_write(sender, request)
        elif not await self._can_read(sender, request):
            admission = await self._sync(sender, request, 0.0)
            if not admission.is_admitted:
                raise self._wait_error(context.priority, admission)
            self._add_pending(sender, _PendingUsage(points=self._limits.read_points))

    def _use_reservation(self, sender: str, context: RateLimitContext, *, content: bool) -> bool:
        """Whether the write that is about to go is the one that was reserved."""
        reserved = context.reserved_write
        if (
            reserved is None
            or (content and not reserved.is_content)
            or self._now() > reserved.sent_at + RESERVATION_SECONDS
        ):
            self.release(sender, context)
            return False
        context.reserved_write = None
        if reserved.is_content and not content:
            self._add_pending(sender, _PendingUsage(refunds=(Refund(reserved, is_full=False),)))
        return True

    async def _acquire_write(self, sender: str, request: RateLimitRequest) -> Write:
        """Enter a write, and return at its slot. The slot is its own from the moment at which it is entered."""
        admission = await self._sync(
            sender, request, URGENT_WAIT_SECONDS if request.priority <= SendPriority.ANSWER else SHORT_WAIT_SECONDS
        )
        if not admission.is_admitted:
            raise self._wait_error(request.priority, admission)
        if (delay := admission.send_at - self._now()) > 0:
            await self._clock.sleep(delay)
        return Write(admission.send_at, request.is_content, request.resource)

    def _wait_error(self, priority: SendPriority, admission: Admission) -> RateLimitWait:
        if self._on_wait is not None:
            self._on_wait(priority)
        return RateLimitWait(datetime.fromtimestamp(admission.send_at, UTC))

    async def _can_read(self, sender: str, request: RateLimitRequest) -> bool:
        """Whether a read may go by what this process knows; if not, or if that is old, the row is to be asked."""
        usage, now = self._usage(sender), self._now()
        is_stale = (
            usage.read_at is None
            or usage.pending.points >= self._limits.unrecorded_reads
            or now - usage.read_at >= SYNC_INTERVAL_SECONDS
        )
        if (
            is_stale
            or not try_acquire(
                usage.pending.apply_to(usage.stored, now, self._limits), request, now, self._limits
            ).is_admitted
        ):
            return False
        self._add_pending(sender, _PendingUsage(points=self._limits.read_points))
        return True

    def count_request(self, sender: str, *, is_write: bool) -> None:
        """Count a further request of an admitted call."""
        self._add_pending(
            sender, _PendingUsage(points=self._limits.write_points if is_write else self._limits.read_points)
        )

    def update_limit(self, sender: str, resource: str, limit: int, remaining: int, reset_at: datetime) -> None:
        """Record the limit by the hour from a response."""
        self._add_pending(
            sender, _PendingUsage(primary={resource: PrimaryLimit(limit, remaining, reset_at.timestamp())})
        )

    async def block_until(self, sender: str, until: datetime) -> None:
        """GitHub asks this sender to wait: tell the other replicas at once."""
        self._add_pending(sender, _PendingUsage(blocked_until=until.timestamp()))
        await self._sync(sender, None, 0.0)

    async def _sync(self, sender: str, request: RateLimitRequest | None, max_wait: float) -> Admission:
        """Enter what is new, and the call that wants to go, into the row."""
        usage = self._usage(sender)
        async with usage.lock, self._store.connect() as connection:
            # What is known may be old, and then tells too little rather than too much: a refusal is made sure of.
            is_fresh = False
            while True:
                if usage.read_at is None:
                    usage.version, usage.stored = await connection.load(sender)
                    usage.read_at, is_fresh = self._now(), True
                now, pending = self._now(), usage.pending
                state = pending.apply_to(usage.stored, now, self._limits)
                admission = (
                    try_acquire(state, request, now, self._limits, max_wait) if request else Admission(now, True, state)
                )
                if not admission.is_admitted and not is_fresh:
                    usage.read_at = None
                    continue
                if admission.budget == usage.stored:
                    return admission
                usage.pending, is_saved = _PendingUsage(), False  # what arrives during the write is for the next time
                try:
                    is_saved = await connection.save(sender, usage.version, admission.budget)
                finally:
                    if not is_saved:
                        usage.pending, usage.read_at = pending.merge(usage.pending), None
                if is_saved:
                    usage.version, usage.stored, usage.read_at = usage.version + 1, admission.budget, now
                    return admission

    def _usage(self, sender: str) -> _Usage:
        return self._usage_by_sender.setdefault(sender, _Usage())

    def _add_pending(self, sender: str, pending: _PendingUsage) -> None:
        usage = self._usage(sender)
        usage.pending = usage.pending.merge(pending)

    def _now(self) -> float:
        return self._clock.now().timestamp()
