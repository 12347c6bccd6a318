"""GitHub's limits as a budget: whether a call may go now, or from when on. Pure: counters and lane in, answer out.

Times are seconds since 1970. What is counted is counted a little too long, never too short, so that what is let
through fits into every window that GitHub may count, wherever it begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from core.lanes import Lane

MINUTE: Final = 60.0
HOUR: Final = 3600.0
SLACK: Final = 5.0
"""Seconds between our counting a call and GitHub's: it may take so long on its way, or clocks may differ by so much."""
_PARTS: Final = 12

# The share of each budget that a lane leaves to those before it, so that the least important wait first.
RESERVED: Final[Mapping[Lane, float]] = MappingProxyType(
    {
        Lane.AGENT: 0.0,
        Lane.ANSWER: 0.0,
        Lane.LOOK: 0.05,
        Lane.CHECK: 0.1,
        Lane.END: 0.1,
        Lane.LABELS: 0.15,
        Lane.CARD: 0.25,
        Lane.DIGEST: 0.35,
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """GitHub's limits for one installation besides the one by the hour, which its answers tell.

    Source: "Rate limits for the REST API" and "Best practices" in GitHub's documentation.
    """

    points_per_minute: int = 900
    content_per_minute: int = 80
    content_per_hour: int = 500
    gap: float = 1.0  # seconds between two writes
    read_points: int = 1
    write_points: int = 5

    @property
    def late(self) -> int:
        """Reads that one replica may enter late; the others do not know of so many."""
        return max(1, self.points_per_minute // 45)

    @property
    def points(self) -> int:
        """Points of a minute that may be used: two other replicas may have reads that are not entered yet."""
        return max(1, self.points_per_minute - 2 * self.late)


@dataclass(frozen=True, slots=True)
class Window:
    """What was spent of late, counted in parts of the span: `(number of the part, amount)`, oldest first."""

    span: float
    spent: tuple[tuple[int, int], ...] = ()

    @property
    def _part(self) -> float:
        return self.span / _PARTS

    def used(self, now: float) -> int:
        """How much counts at `now`."""
        return sum(amount for part, amount in self.spent if self._counts_until(part) > now)

    def add(self, at: float, amount: int) -> Window:
        """So much more was spent at `at`, which may lie a little ahead."""
        kept = {part: spent for part, spent in self.spent if self._counts_until(part) > at}
        kept[int(at // self._part)] = kept.get(int(at // self._part), 0) + amount
        return replace(self, spent=tuple(sorted(kept.items())))

    def free_at(self, now: float, amount: int, limit: int) -> float:
        """From when on `amount` more fits below `limit`; what is larger than the limit fits into an empty window."""
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
class Primary:
    """The limit by the hour of one resource (`core`, `graphql`, `search`), as GitHub's answers tell it."""

    limit: int
    remaining: int
    reset_at: float

    def heard(self, other: Primary) -> Primary:
        """Both are known: the later window counts, and of one window the one with less left."""
        if abs(other.reset_at - self.reset_at) > SLACK:
            return max(self, other, key=lambda one: one.reset_at)
        return replace(other, remaining=min(self.remaining, other.remaining))


@dataclass(frozen=True, slots=True)
class Budget:
    """What was spent by one sender (an installation), and what GitHub said of it. A new one is full."""

    points: Window = Window(MINUTE)
    content: Window = Window(MINUTE)
    content_hour: Window = Window(HOUR)
    written_at: float = 0.0  # when the latest write goes; it may lie a little ahead
    blocked_until: float = 0.0  # by a secondary limit
    primary: Mapping[str, Primary] = field(default_factory=dict)
    promised: Mapping[Lane, float] = field(default_factory=dict)  # when the last one that waits in a lane comes back

    def heard(self, resource: str, primary: Primary) -> Budget:
        """An answer told of the limit by the hour."""
        known = self.primary.get(resource)
        return replace(self, primary={**self.primary, resource: known.heard(primary) if known else primary})

    def refused(self, until: float) -> Budget:
        """GitHub asks everybody to wait."""
        return replace(self, blocked_until=max(self.blocked_until, until))

    def read(self, now: float, points: int) -> Budget:
        """So many points were spent, on reads, or on what came of a call that was let through."""
        return replace(self, points=self.points.add(now, points)) if points else self


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that wants to go."""

    lane: Lane
    writes: bool
    content: bool = False  # it makes something that people read, of which GitHub counts more closely
    resource: str = "core"
    waited: bool = False  # it was told to wait, and has come back


@dataclass(frozen=True, slots=True)
class Verdict:
    """When the call may go. `budget` is what to keep: with the call in it if it `goes`, else with its place in line."""

    at: float
    goes: bool
    budget: Budget


def admit(budget: Budget, ask: Ask, now: float, limits: Limits, patience: float = 0.0) -> Verdict:
    """Whether a call may go now, or within `patience` seconds, at `Verdict.at`; or when to ask again."""
    share = 1.0 - RESERVED[ask.lane]
    cost = limits.write_points if ask.writes else limits.read_points
    at = max(now, budget.blocked_until)
    primary = budget.primary.get(ask.resource)
    if primary and primary.reset_at > at and primary.remaining <= primary.limit * (1.0 - share):
        at = primary.reset_at
    at = budget.points.free_at(at, cost, _of(limits.points, share))
    if ask.content:
        at = budget.content.free_at(at, 1, _of(limits.content_per_minute, share))
        at = budget.content_hour.free_at(at, 1, _of(limits.content_per_hour, share))
    if not ask.writes:
        return Verdict(at, True, budget) if at <= now else Verdict(at, False, budget)
    turn = _turn(budget, ask, at, limits.gap)
    if turn <= now + patience:
        return Verdict(turn, True, _written(budget, ask, turn, cost))
    if at > now:
        return Verdict(turn, False, budget)
    later = max(turn, budget.promised.get(ask.lane, 0.0))
    return Verdict(turn, False, replace(budget, promised={**budget.promised, ask.lane: later}))


def _of(limit: int, share: float) -> int:
    return max(1, int(limit * share))


def _turn(budget: Budget, ask: Ask, at: float, gap: float) -> float:
    """The first moment a gap after the last write, and after those who were told to come back before it.

    A less important lane lets the more important ones pass; among equals, who came first goes first.
    """
    if not gap:
        return at
    turn = max(at, budget.written_at + gap)
    for lane, promised in budget.promised.items():
        if (lane < ask.lane or (lane == ask.lane and not ask.waited)) and promised + gap > at:
            turn = max(turn, promised + gap)
    return turn


def _written(budget: Budget, ask: Ask, at: float, cost: int) -> Budget:
    primary = budget.primary
    if known := primary.get(ask.resource):
        primary = {**primary, ask.resource: replace(known, remaining=max(0, known.remaining - 1))}
    return replace(
        budget,
        points=budget.points.add(at, cost),
        content=budget.content.add(at, 1) if ask.content else budget.content,
        content_hour=budget.content_hour.add(at, 1) if ask.content else budget.content_hour,
        written_at=max(budget.written_at, at),
        primary=primary,
        promised={lane: until for lane, until in budget.promised.items() if until > at},
    )


def remaining(budget: Budget, now: float, limits: Limits) -> dict[str, int]:
    """What is left at `now`, by limit: the most important lane may use all of it."""
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
