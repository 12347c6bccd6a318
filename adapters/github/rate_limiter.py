"""The governor: one budget for each installation, shared by all replicas, so that GitHub never has to refuse us.

The budget is a row (`budgets`). A write is entered there before it goes, in one statement that counts only if nobody
was quicker; whoever was overtaken reads the row and decides anew, and nobody waits for a lock of the database. Reads
are many and cheap: they are counted here, and entered with the next write or every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from adapters.database import rate_limits
from adapters.database.database import Database
from adapters.github.rate_limit import Passage, Throttled
from core.clock import Clock
from core.effects.priority import Lane
from core.rate_limits import Ask, Budget, Limits, Primary, Refund, Verdict, Write, admit

EVERY = 5.0  # seconds after which reads are entered at the next one
PATIENCE = 2.0  # seconds that a start or an answer waits in place for its slot
BRIEFLY = 0.05  # seconds that any other write does: it must not keep a worker from what is more important
HOLD = 4.0  # seconds within which a reserved write has to go; less than `core.rate_limits.SLACK`

OnWait = Callable[[Lane], None]


@dataclass(frozen=True, slots=True)
class _News:
    """What this process knows and the row does not."""

    points: int = 0
    primary: Mapping[str, Primary] = field(default_factory=dict)
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

    def also(self, other: _News) -> _News:
        primary = dict(self.primary)
        for resource, heard in other.primary.items():
            primary[resource] = primary[resource].heard(heard) if resource in primary else heard
        blocked_until = max(self.blocked_until, other.blocked_until)
        return _News(self.points + other.points, primary, blocked_until, self.refunds + other.refunds)


@dataclass(slots=True)
class _Ledger:
    """What this process knows of one sender."""

    version: int = 0
    kept: Budget = field(default_factory=Budget)  # as the row was when it was last read or written
    read_at: float | None = None
    news: _News = field(default_factory=_News)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Governor:
    """The gate to GitHub, as `adapters.github.rate_limit.Gate` describes it."""

    def __init__(self, database: Database, clock: Clock, limits: Limits, on_wait: OnWait | None = None) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._on_wait = on_wait
        self._ledgers: dict[str, _Ledger] = {}

    async def reserve(self, sender: str, passage: Passage, *, content: bool) -> None:
        """Return when a write may go; it is entered, and the next one of `passage` is this one.

        So nothing is read for a write that then has to wait. What is not used is `release`d, and what is held for
        longer than `HOLD` has lost its slot: no replica that dies blocks the others.
        """
        self.release(sender, passage)
        passage.reserved = await self._write(sender, Ask(passage.lane, True, content, waited=passage.waited))

    def release(self, sender: str, passage: Passage) -> None:
        """The write that `passage` holds, if it still does, is not made: what was entered for it is free again."""
        held, passage.reserved = passage.reserved, None
        if held is not None:
            self._add(sender, _News(refunds=(Refund(held),)))

    async def enter(self, sender: str, passage: Passage, resource: str, *, writes: bool, content: bool) -> None:
        """Return when the call may go; raises Throttled, with nothing entered but its place in line, if it has to wait.

        Every write asks for itself: between two writes of one errand those of more important lanes go.
        """
        ask = Ask(passage.lane, writes, content, resource, passage.waited)
        if writes:
            if not self._uses(sender, passage, content=content):
                await self._write(sender, ask)
        elif not await self._may_read(sender, ask):
            verdict = await self._settle(sender, ask, 0.0)
            if not verdict.goes:
                raise self._throttled(passage.lane, verdict)
            self._add(sender, _News(points=self._limits.read_points))

    def _uses(self, sender: str, passage: Passage, *, content: bool) -> bool:
        """Whether the write that is about to go is the one that was reserved."""
        held = passage.reserved
        if held is None or (content and not held.content) or self._now() > held.at + HOLD:
            self.release(sender, passage)
            return False
        passage.reserved = None
        if held.content and not content:
            self._add(sender, _News(refunds=(Refund(held, whole=False),)))
        return True

    async def _write(self, sender: str, ask: Ask) -> Write:
        """Enter a write, and return at its slot. The slot is its own from the moment at which it is entered."""
        verdict = await self._settle(sender, ask, PATIENCE if ask.lane <= Lane.ANSWER else BRIEFLY)
        if not verdict.goes:
            raise self._throttled(ask.lane, verdict)
        if (wait := verdict.at - self._now()) > 0:
            await self._clock.sleep(wait)
        return Write(verdict.at, ask.content, ask.resource)

    def _throttled(self, lane: Lane, verdict: Verdict) -> Throttled:
        if self._on_wait is not None:
            self._on_wait(lane)
        return Throttled(datetime.fromtimestamp(verdict.at, UTC))

    async def _may_read(self, sender: str, ask: Ask) -> bool:
        """Whether a read may go by what this process knows; if not, or if that is old, the row is to be asked."""
        ledger, now = self._of(sender), self._now()
        old = ledger.read_at is None or ledger.news.points >= self._limits.late or now - ledger.read_at >= EVERY
        if old or not admit(ledger.news.onto(ledger.kept, now, self._limits), ask, now, self._limits).goes:
            return False
        self._add(sender, _News(points=self._limits.read_points))
        return True

    def spent(self, sender: str, *, writes: bool) -> None:
        """A further request of a call that was let through."""
        self._add(sender, _News(points=self._limits.write_points if writes else self._limits.read_points))

    def heard(self, sender: str, resource: str, limit: int, remaining: int, reset_at: datetime) -> None:
        """An answer told of the limit by the hour."""
        self._add(sender, _News(primary={resource: Primary(limit, remaining, reset_at.timestamp())}))

    async def refused(self, sender: str, until: datetime) -> None:
        """GitHub asks this sender to wait: the other replicas are to know at once."""
        self._add(sender, _News(blocked_until=until.timestamp()))
        await self._settle(sender, None, 0.0)

    async def _settle(self, sender: str, ask: Ask | None, patience: float) -> Verdict:
        """Enter what is new, and the call that wants to go, into the row."""
        ledger = self._of(sender)
        async with ledger.lock, self._database.autocommit() as connection:
            # What is known may be old, and then tells too little rather than too much: a refusal is made sure of.
            fresh = False
            while True:
                if ledger.read_at is None:
                    ledger.version, ledger.kept = await rate_limits.load(connection, sender)
                    ledger.read_at, fresh = self._now(), True
                now, news = self._now(), ledger.news
                known = news.onto(ledger.kept, now, self._limits)
                verdict = admit(known, ask, now, self._limits, patience) if ask else Verdict(now, True, known)
                if not verdict.goes and not fresh:
                    ledger.read_at = None
                    continue
                if verdict.budget == ledger.kept:
                    return verdict
                ledger.news, entered = _News(), False  # what comes while we write is for the next time
                try:
                    entered = await rate_limits.save(connection, sender, ledger.version, verdict.budget)
                finally:
                    if not entered:
                        ledger.news, ledger.read_at = news.also(ledger.news), None
                if entered:
                    ledger.version, ledger.kept, ledger.read_at = ledger.version + 1, verdict.budget, now
                    return verdict

    def _of(self, sender: str) -> _Ledger:
        return self._ledgers.setdefault(sender, _Ledger())

    def _add(self, sender: str, news: _News) -> None:
        ledger = self._of(sender)
        ledger.news = ledger.news.also(news)

    def _now(self) -> float:
        return self._clock.now().timestamp()
