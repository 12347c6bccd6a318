"""Computes whether a call fits GitHub's limits now or when it will. Pure: counters in, answer out.

Times are seconds since 1970. Everything is counted a little too long, never too short, so that the admitted calls fit
into every window that GitHub may count, wherever it begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from core.effects.priority import SendPriority

MINUTE: Final = 60.0
HOUR: Final = 3600.0
SLACK: Final = 5.0
"""Seconds between the bot counting a call and GitHub counting it: latency and clock differences."""
BURST: Final = 10
"""Writes that may follow each other without a pause: the size of the token bucket."""
_PARTS: Final = 12

# The share of each budget that a priority leaves to more important ones, so that the least important wait first.
RESERVED: Final[Mapping[SendPriority, float]] = MappingProxyType(
    {
        SendPriority.AGENT: 0.0,
        SendPriority.ANSWER: 0.0,
        SendPriority.LOOK: 0.05,
        SendPriority.CHECK: 0.1,
        SendPriority.END: 0.1,
        SendPriority.LABELS: 0.15,
        SendPriority.CARD: 0.25,
        SendPriority.DIGEST: 0.35,
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """GitHub's limits for one installation, except the one by the hour, which its responses report.

    Source: "Rate limits for the REST API" and "Best practices" in GitHub's documentation.
    """

    points_per_minute: int = 900
    content_per_minute: int = 80
    content_per_hour: int = 500
    refill: float = 1.0  # seconds until the write bucket gets one more token; 0: there is no bucket
    read_points: int = 1
    write_points: int = 5

    @property
    def late(self) -> int:
        """Reads that one replica may report late; the others do not know of so many."""
        return max(1, self.points_per_minute // 45)

    @property
    def points(self) -> int:
        """Points per minute that may be used: two other replicas may have unreported reads."""
        return max(1, self.points_per_minute - 2 * self.late)


@dataclass(frozen=True, slots=True)
class Window:
    """Recent usage, counted in parts of the span: `(number of the part, amount)`, oldest first."""

    span: float
    spent: tuple[tuple[int, int], ...] = ()

    @property
    def _part(self) -> float:
        return self.span / _PARTS

    def used(self, now: float) -> int:
        """How much counts at `now`."""
        return sum(amount for part, amount in self.spent if self._counts_until(part) > now)

    def add(self, at: float, amount: int) -> Window:
        """Add usage at `at`, which may be slightly in the future."""
        kept = {part: spent for part, spent in self.spent if self._counts_until(part) > at}
        kept[int(at // self._part)] = kept.get(int(at // self._part), 0) + amount
        return replace(self, spent=tuple(sorted(kept.items())))

    def without(self, at: float, amount: int) -> Window:
        """Remove usage that was counted at `at` but not needed."""
        kept = dict(self.spent)
        part = int(at // self._part)
        if part not in kept:
            return self
        kept[part] -= amount
        return replace(self, spent=tuple(sorted((one, left) for one, left in kept.items() if left > 0)))

    def available_at(self, now: float, amount: int, limit: int) -> float:
        """When `amount` more fits below `limit`; an amount above the limit fits into an empty window."""
        used, at = self.used(now), now
        for part, spent in self.spent:
            if used + amount <= limit:
                break
            if self._counts_until(part) > now:
                used, at = used - spent, self._counts_until(part)
        return at

    def _counts_until(self, part: int) -> float:
        return (part + 1) * self._part + self.span + SLACK


@dataclass(frozen=True, slots=True)
class PrimaryLimit:
    """The limit by the hour of one resource (`core`, `graphql`, `search`), as GitHub's responses report it."""

    limit: int
    remaining: int
    reset_at: float

    def heard(self, other: PrimaryLimit) -> PrimaryLimit:
        """Combine two reports: the later window counts, and within one window the lower rest."""
        if abs(other.reset_at - self.reset_at) > SLACK:
            return max(self, other, key=lambda one: one.reset_at)
        return replace(other, remaining=min(self.remaining, other.remaining))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket of writes. Only `full_at` is stored: when it is full if nothing more is taken."""

    full_at: float = 0.0

    def holds_at(self, now: float, tokens: int, refill: float) -> float:
        """The first time, not before `now`, at which it holds so many tokens."""
        return max(now, self.full_at - (BURST - tokens) * refill)

    def taken(self, at: float, refill: float) -> Bucket:
        """The bucket after one token is taken at `at`."""
        return Bucket(max(self.full_at, at) + refill)


@dataclass(frozen=True, slots=True)
class Write:
    """A write that was admitted for `at`: what was counted for it."""

    at: float
    content: bool
    resource: str


@dataclass(frozen=True, slots=True)
class Refund:
    """What was counted for an admitted write and not used: all of it, or only that it is content."""

    write: Write
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Budget:
    """The usage of one sender (an installation), and what GitHub reported. A new one is full."""

    points: Window = Window(MINUTE)
    content: Window = Window(MINUTE)
    content_hour: Window = Window(HOUR)
    bucket: Bucket = Bucket()
    blocked_until: float = 0.0  # by a secondary limit
    primary: Mapping[str, PrimaryLimit] = field(default_factory=dict)
    # By priority: writes that must wait, as the latest time that was given to one of them.
    queue: Mapping[SendPriority, float] = field(default_factory=dict)

    def heard(self, resource: str, primary: PrimaryLimit) -> Budget:
        """A response reported the limit by the hour."""
        known = self.primary.get(resource)
        return replace(self, primary={**self.primary, resource: known.heard(primary) if known else primary})

    def refused(self, until: float) -> Budget:
        """GitHub asks this sender to wait."""
        return replace(self, blocked_until=max(self.blocked_until, until))

    def read(self, now: float, points: int) -> Budget:
        """Add points for reads, or for follow-ups of an admitted call."""
        return replace(self, points=self.points.add(now, points)) if points else self

    def refunded(self, refund: Refund, now: float, limits: Limits) -> Budget:
        """Return what an admitted write did not use.

        Its token returns only within one refill: later the bucket may have been full in between, and an extra token
        would admit more than the bucket allows.
        """
        write, after = refund.write, self
        if write.content:
            content, hour = self.content.without(write.at, 1), self.content_hour.without(write.at, 1)
            after = replace(after, content=content, content_hour=hour)
        if not refund.whole:
            return after
        if known := self.primary.get(write.resource):
            left = replace(known, remaining=min(known.limit, known.remaining + 1))
            after = replace(after, primary={**self.primary, write.resource: left})
        if now < write.at + limits.refill:
            after = replace(after, bucket=Bucket(self.bucket.full_at - limits.refill))
        return replace(after, points=self.points.without(write.at, limits.write_points))


@dataclass(frozen=True, slots=True)
class RateLimitRequest:
    """A call that asks for admission."""

    lane: SendPriority
    writes: bool
    content: bool = False  # it creates what people read, which GitHub limits more strictly
    resource: str = "core"
    waited: bool = False  # it had to wait, and has come back


@dataclass(frozen=True, slots=True)
class Admission:
    """When the call may go. `budget` must be stored: with the call in it if it `goes`, else with its place in the
    queue.
    """

    at: float
    goes: bool
    budget: Budget


def try_acquire(budget: Budget, ask: RateLimitRequest, now: float, limits: Limits, patience: float = 0.0) -> Admission:
    """Whether a call may go now, or a write within `patience` seconds, at `Admission.at`; or when to ask again.

    Every limit works the same way: a priority leaves a share of it to more important ones, and of the bucket one token
    for each. So a call never waits for a less important one, whichever replica that is in.
    """
    at = _room(budget, ask, now, limits)
    if not ask.writes:
        return Admission(at, at <= now, budget)
    if not limits.refill:
        return Admission(
            at, at <= now + patience, _counted(budget, ask, at, limits) if at <= now + patience else budget
        )
    waiting = [lane for lane, last in budget.queue.items() if lane <= ask.lane and last > now]
    # A new write passes waiting ones of its own priority only if the next of them also finds a token.
    behind = not ask.waited and ask.lane in waiting
    turn = budget.bucket.holds_at(at, ask.lane + 1 + behind, limits.refill)
    # Nor does it take a future slot from a write that was told to come for it.
    ahead = any(lane < ask.lane for lane in waiting) or behind
    if turn <= now + (0.0 if ahead else patience):
        return Admission(turn, True, _counted(budget, ask, turn, limits))
    told = max([turn, *(budget.queue[lane] + limits.refill for lane in waiting)])
    if at > now:
        return Admission(told, False, budget)
    return Admission(told, False, replace(budget, queue={**budget.queue, ask.lane: told}))


def _room(budget: Budget, ask: RateLimitRequest, now: float, limits: Limits) -> float:
    """When the call fits into every window of GitHub's."""
    share = 1.0 - RESERVED[ask.lane]
    at = max(now, budget.blocked_until)
    primary = budget.primary.get(ask.resource)
    if primary and primary.reset_at > at and primary.remaining <= primary.limit * (1.0 - share):
        at = primary.reset_at
    cost = limits.write_points if ask.writes else limits.read_points
    at = budget.points.available_at(at, cost, _of(limits.points, share))
    if ask.content:
        at = budget.content.available_at(at, 1, _of(limits.content_per_minute, share))
        at = budget.content_hour.available_at(at, 1, _of(limits.content_per_hour, share))
    return at


def _of(limit: int, share: float) -> int:
    return max(1, int(limit * share))


def _counted(budget: Budget, ask: RateLimitRequest, at: float, limits: Limits) -> Budget:
    primary = budget.primary
    if known := primary.get(ask.resource):
        primary = {**primary, ask.resource: replace(known, remaining=max(0, known.remaining - 1))}
    return replace(
        budget,
        points=budget.points.add(at, limits.write_points),
        content=budget.content.add(at, 1) if ask.content else budget.content,
        content_hour=budget.content_hour.add(at, 1) if ask.content else budget.content_hour,
        bucket=budget.bucket.taken(at, limits.refill) if limits.refill else budget.bucket,
        primary=primary,
        queue={lane: last for lane, last in budget.queue.items() if last > at},
    )


def remaining(budget: Budget, now: float, limits: Limits) -> dict[str, int]:
    """What is left at `now`, by limit, for the most important priority."""
    left = {
        resource: primary.remaining if primary.reset_at > now else primary.limit
        for resource, primary in budget.primary.items()
    }
    blocked = budget.blocked_until > now
    return left | {
        "points_minute": 0 if blocked else max(0, limits.points_per_minute - budget.points.used(now)),
        "content_minute": 0 if blocked else max(0, limits.content_per_minute - budget.content.used(now)),
        "content_hour": max(0, limits.content_per_hour - budget.content_hour.used(now)),
    }
