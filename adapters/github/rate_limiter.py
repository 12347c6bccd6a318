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
from core.rate_limits import Admission, Budget, Limits, PrimaryLimit, RateLimitRequest, Refund, Write, try_acquire

EVERY = 5.0  # seconds after which reads are entered at the next one
PATIENCE = 2.0  # seconds that a start or an answer waits in place for its slot
BRIEFLY = 0.05  # seconds that any other write does: it must not keep a worker from what is more important
HOLD = 4.0  # seconds within which a reserved write has to go; less than `core.rate_limits.SLACK`

OnWait = Callable[[SendPriority], None]


class BudgetConnection(Protocol):
    """Loads and saves budgets over one connection."""

    async def load(self, credential: str) -> tuple[int, Budget]:
        """Return the budget of a credential (`installation:7`) and its version: 0 and a full one if there is none."""

    async def save(self, credential: str, version: int, budget: Budget) -> bool:
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

    def onto(self, budget: Budget, now: float, limits: Limits) -> Budget:
        for refund in self.refunds:
            budget = budget.refunded(refund, now, limits)
        for resource, primary in self.primary.items():
            budget = budget.heard(resource, primary)
        if self.blocked_until:
            budget = budget.refused(self.blocked_until)
        return budget.read(now, self.points)

    def also(self, other: _PendingUsage) -> _PendingUsage:
        primary = dict(self.primary)
        for resource, heard in other.primary.items():
            primary[resource] = primary[resource].heard(heard) if resource in primary else heard
        blocked_until = max(self.blocked_until, other.blocked_until)
        return _PendingUsage(self.points + other.points, primary, blocked_until, self.refunds + other.refunds)


@dataclass(slots=True)
class _Usage:
    """What this process knows of one sender."""

    version: int = 0
    kept: Budget = field(default_factory=Budget)  # as the row was when it was last read or written
    read_at: float | None = None
    news: _PendingUsage = field(default_factory=_PendingUsage)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimiter:
    """The rate limiter, as `adapters.github.rate_limit.Limiter` describes it."""

    def __init__(self, store: BudgetStore, clock: Clock, limits: Limits, on_wait: OnWait | None = None) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._on_wait = on_wait
        self._ledgers: dict[str, _Usage] = {}

    async def reserve(self, sender: str, context: RateLimitContext, *, content: bool) -> None:
        """Return when a write may go; it is recorded, and the context's next write uses it.

        So nothing is read for a write that then has to wait. An unused write is `release`d, and one that is held for
        longer than `HOLD` loses its slot: a replica that dies blocks no other.
        """
        self.release(sender, context)
        context.reserved_write = await self._write(
            sender, RateLimitRequest(context.priority, True, content, waited=context.has_waited)
        )

    def release(self, sender: str, context: RateLimitContext) -> None:
        """The write that `passage` holds, if it still does, is not made: what was entered for it is free again."""
        held, context.reserved_write = context.reserved_write, None
        if held is not None:
            self._add(sender, _PendingUsage(refunds=(Refund(held),)))

    async def acquire(
        self, sender: str, context: RateLimitContext, resource: str, *, is_write: bool, content: bool
    ) -> None:
        """Return when the call may go. Raises RateLimitWait if it has to wait, with only its place in the queue
        recorded.

        Every write asks for itself, so that more urgent writes may go between two writes of one context.
        """
        ask = RateLimitRequest(context.priority, is_write, content, resource, context.has_waited)
        if is_write:
            if not self._uses(sender, context, content=content):
                await self._write(sender, ask)
        elif not await self._may_read(sender, ask):
            verdict = await self._settle(sender, ask, 0.0)
            if not verdict.goes:
                raise self._throttled(context.priority, verdict)
            self._add(sender, _PendingUsage(points=self._limits.read_points))

    def _uses(self, sender: str, context: RateLimitContext, *, content: bool) -> bool:
        """Whether the write that is about to go is the one that was reserved."""
        held = context.reserved_write
        if held is None or (content and not held.content) or self._now() > held.at + HOLD:
            self.release(sender, context)
            return False
        context.reserved_write = None
        if held.content and not content:
            self._add(sender, _PendingUsage(refunds=(Refund(held, whole=False),)))
        return True

    async def _write(self, sender: str, ask: RateLimitRequest) -> Write:
        """Enter a write, and return at its slot. The slot is its own from the moment at which it is entered."""
        verdict = await self._settle(sender, ask, PATIENCE if ask.lane <= SendPriority.ANSWER else BRIEFLY)
        if not verdict.goes:
            raise self._throttled(ask.lane, verdict)
        if (wait := verdict.at - self._now()) > 0:
            await self._clock.sleep(wait)
        return Write(verdict.at, ask.content, ask.resource)

    def _throttled(self, lane: SendPriority, verdict: Admission) -> RateLimitWait:
        if self._on_wait is not None:
            self._on_wait(lane)
        return RateLimitWait(datetime.fromtimestamp(verdict.at, UTC))

    async def _may_read(self, sender: str, ask: RateLimitRequest) -> bool:
        """Whether a read may go by what this process knows; if not, or if that is old, the row is to be asked."""
        ledger, now = self._of(sender), self._now()
        old = ledger.read_at is None or ledger.news.points >= self._limits.late or now - ledger.read_at >= EVERY
        if old or not try_acquire(ledger.news.onto(ledger.kept, now, self._limits), ask, now, self._limits).goes:
            return False
        self._add(sender, _PendingUsage(points=self._limits.read_points))
        return True

    def count_request(self, sender: str, *, is_write: bool) -> None:
        """Count a further request of an admitted call."""
        self._add(sender, _PendingUsage(points=self._limits.write_points if is_write else self._limits.read_points))

    def update_limit(self, sender: str, resource: str, limit: int, remaining: int, reset_at: datetime) -> None:
        """Record the limit by the hour from a response."""
        self._add(sender, _PendingUsage(primary={resource: PrimaryLimit(limit, remaining, reset_at.timestamp())}))

    async def block_until(self, sender: str, until: datetime) -> None:
        """GitHub asks this sender to wait: tell the other replicas at once."""
        self._add(sender, _PendingUsage(blocked_until=until.timestamp()))
        await self._settle(sender, None, 0.0)

    async def _settle(self, sender: str, ask: RateLimitRequest | None, patience: float) -> Admission:
        """Enter what is new, and the call that wants to go, into the row."""
        ledger = self._of(sender)
        async with ledger.lock, self._store.connect() as connection:
            # What is known may be old, and then tells too little rather than too much: a refusal is made sure of.
            fresh = False
            while True:
                if ledger.read_at is None:
                    ledger.version, ledger.kept = await connection.load(sender)
                    ledger.read_at, fresh = self._now(), True
                now, news = self._now(), ledger.news
                known = news.onto(ledger.kept, now, self._limits)
                verdict = try_acquire(known, ask, now, self._limits, patience) if ask else Admission(now, True, known)
                if not verdict.goes and not fresh:
                    ledger.read_at = None
                    continue
                if verdict.budget == ledger.kept:
                    return verdict
                ledger.news, entered = _PendingUsage(), False  # what arrives during the write is for the next time
                try:
                    entered = await connection.save(sender, ledger.version, verdict.budget)
                finally:
                    if not entered:
                        ledger.news, ledger.read_at = news.also(ledger.news), None
                if entered:
                    ledger.version, ledger.kept, ledger.read_at = ledger.version + 1, verdict.budget, now
                    return verdict

    def _of(self, sender: str) -> _Usage:
        return self._ledgers.setdefault(sender, _Usage())

    def _add(self, sender: str, news: _PendingUsage) -> None:
        ledger = self._of(sender)
        ledger.news = ledger.news.also(news)

    def _now(self) -> float:
        return self._clock.now().timestamp()
