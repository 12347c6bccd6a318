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
_WINDOW_PARTS: Final = 12

# The share of each budget that a priority leaves to more important ones, so that the least important wait first.
RESERVED: Final[Mapping[SendPriority, float]] = MappingProxyType(
    {
        SendPriority.AGENT: 0.0,
        SendPriority.ANSWER: 0.0,
        SendPriority.READ: 0.05,
        SendPriority.CHECK: 0.1,
        SendPriority.COMPLETION: 0.1,
        SendPriority.LABELS: 0.15,
        SendPriority.CARD: 0.25,
        SendPriority.DIGEST: 0.35,
    }
)


@dataclass(frozen=True, slots=True)
class RateLimits:
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
    def unrecorded_reads(self) -> int:
        """Reads that one replica may report late; the others do not know of so many."""
        return max(1, self.points_per_minute // 45)

    @property
    def usable_points(self) -> int:
        """Points per minute that may be used: two other replicas may have unreported reads."""
        return max(1, self.points_per_minute - 2 * self.unrecorded_reads)


@dataclass(frozen=True, slots=True)
class Window:
    """Recent usage, counted in parts of the span: `(number of the part, amount)`, oldest first."""

    span: float
    spent: tuple[tuple[int, int], ...] = ()

    @property
    def _part_seconds(self) -> float:
        return self.span / _WINDOW_PARTS

    def used(self, now: float) -> int:
        """How much counts at `now`."""
        return sum(amount for part, amount in self.spent if self._expires_at(part) > now)

    def add(self, moment: float, amount: int) -> Window:
        """Add usage at `moment`, which may be slightly in the future."""
        amounts = {part: spent for part, spent in self.spent if self._expires_at(part) > moment}
        amounts[int(moment // self._part_seconds)] = amounts.get(int(moment // self._part_seconds), 0) + amount
        return replace(self, spent=tuple(sorted(amounts.items())))

    def subtract(self, moment: float, amount: int) -> Window:
        """Remove usage that was counted at `moment` but not needed."""
        amounts = dict(self.spent)
        part = int(moment // self._part_seconds)
        if part not in amounts:
            return self
        amounts[part] -= amount
        return replace(
            self, spent=tuple(sorted((index, remaining) for index, remaining in amounts.items() if remaining > 0))
        )

    def available_at(self, now: float, amount: int, limit: int) -> float:
        """When `amount` more fits below `limit`; an amount above the limit fits into an empty window."""
        used, start = self.used(now), now
        for part, spent in self.spent:
            if used + amount <= limit:
                break
            if self._expires_at(part) > now:
                used, start = used - spent, self._expires_at(part)
        return start

    def _expires_at(self, part: int) -> float:
        return (part + 1) * self._part_seconds + self.span + SLACK


@dataclass(frozen=True, slots=True)
class PrimaryLimit:
    """The limit by the hour of one resource (`core`, `graphql`, `search`), as GitHub's responses report it."""

    limit: int
    remaining: int
    reset_at: float

    def merge(self, other: PrimaryLimit) -> PrimaryLimit:
        """Combine two reports: the later window counts, and within one window the lower rest."""
        if abs(other.reset_at - self.reset_at) > SLACK:
            return max(self, other, key=lambda limit: limit.reset_at)
        return replace(other, remaining=min(self.remaining, other.remaining))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket of writes. Only `full_at` is stored: when it is full if nothing more is taken."""

    full_at: float = 0.0

    def available_at(self, now: float, tokens: int, refill: float) -> float:
        """The first time, not before `now`, at which it holds so many tokens."""
        return max(now, self.full_at - (BURST - tokens) * refill)

    def take(self, moment: float, refill: float) -> Bucket:
        """The bucket after one token is taken at `moment`."""
        return Bucket(max(self.full_at, moment) + refill)


@dataclass(frozen=True, slots=True)
class Write:
    """A write that was admitted for `at`: what was counted for it."""

    sent_at: float
    is_content: bool
    resource: str


@dataclass(frozen=True, slots=True)
class Refund:
    """What was counted for an admitted write and not used: all of it, or only that it is content."""

    write: Write
    is_full: bool = True


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """The usage of one sender (an installation), and what GitHub reported. A new one is full."""

    points: Window = Window(MINUTE)
    content: Window = Window(MINUTE)
    content_hour: Window = Window(HOUR)
    bucket: Bucket = Bucket()
    blocked_until: float = 0.0  # by a secondary limit
    primary: Mapping[str, PrimaryLimit] = field(default_factory=dict)
    # By priority: writes that must wait, as the latest time that was given to one of them.
    queue: Mapping[SendPriority, float] = field(default_factory=dict)

    def with_primary(self, resource: str, primary: PrimaryLimit) -> RateLimitState:
        """A response reported the limit by the hour."""
        current = self.primary.get(resource)
        return replace(self, primary={**self.primary, resource: current.merge(primary) if current else primary})

    def with_block(self, until: float) -> RateLimitState:
        """GitHub asks this sender to wait."""
        return replace(self, blocked_until=max(self.blocked_until, until))

    def add_points(self, now: float, points: int) -> RateLimitState:
        """Add points for reads, or for follow-ups of an admitted call."""
        return replace(self, points=self.points.add(now, points)) if points else self

    def apply_refund(self, refund: Refund, now: float, limits: RateLimits) -> RateLimitState:
        """Return what an admitted write did not use.

        Its token returns only within one refill: later the bucket may have been full in between, and an extra token
        would admit more than the bucket allows.
        """
        write, state = refund.write, self
        if write.is_content:
            content, hour = self.content.subtract(write.sent_at, 1), self.content_hour.subtract(write.sent_at, 1)
            state = replace(state, content=content, content_hour=hour)
        if not refund.is_full:
            return state
        if current := self.primary.get(write.resource):
            restored = replace(current, remaining=min(current.limit, current.remaining + 1))
            state = replace(state, primary={**self.primary, write.resource: restored})
        if now < write.sent_at + limits.refill:
            state = replace(state, bucket=Bucket(self.bucket.full_at - limits.refill))
        return replace(state, points=self.points.subtract(write.sent_at, limits.write_points))


@dataclass(frozen=True, slots=True)
class RateLimitRequest:
    """A call that asks for admission."""

    priority: SendPriority
    is_write: bool
    is_content: bool = False  # it creates what people read, which GitHub limits more strictly
    resource: str = "core"
    is_retry: bool = False  # it had to wait, and has come back


@dataclass(frozen=True, slots=True)
class Admission:
    """When the call may go. `budget` must be stored: with the call in it if it `goes`, else with its place in the
    queue.
    """

    send_at: float
    is_admitted: bool
    budget: RateLimitState


def try_acquire(
    budget: RateLimitState, request: RateLimitRequest, now: float, limits: RateLimits, max_wait: float = 0.0
) -> Admission:
    """Whether a call may go now, or a write within `max_wait` seconds, at `Admission.send_at`; or when to ask again.

    Every limit works the same way: a priority leaves a share of it to more important ones, and of the bucket one token
    for each. So a call never waits for a less important one, whichever replica that is in.
    """
    earliest = _earliest_time(budget, request, now, limits)
    if not request.is_write:
        return Admission(earliest, earliest <= now, budget)
    if not limits.refill:
        return Admission(
            earliest,
            earliest <= now + max_wait,
            _record_write(budget, request, earliest, limits) if earliest <= now + max_wait else budget,
        )
    waiting = [
        priority for priority, last_slot in budget.queue.items() if priority <= request.priority and last_slot > now
    ]
    # A new write passes waiting ones of its own priority only if the next of them also finds a token.
    is_newcomer = not request.is_retry and request.priority in waiting
    send_at = budget.bucket.available_at(earliest, request.priority + 1 + is_newcomer, limits.refill)
    # Nor does it take a future slot from a write that was told to come for it.
    must_yield = any(priority < request.priority for priority in waiting) or is_newcomer
    if send_at <= now + (0.0 if must_yield else max_wait):
        return Admission(send_at, True, _record_write(budget, request, send_at, limits))
    retry_at = max([send_at, *(budget.queue[priority] + limits.refill for priority in waiting)])
    if earliest > now:
        return Admission(retry_at, False, budget)
    return Admission(retry_at, False, replace(budget, queue={**budget.queue, request.priority: retry_at}))


def _earliest_time(budget: RateLimitState, request: RateLimitRequest, now: float, limits: RateLimits) -> float:
    """When the call fits into every window of GitHub's."""
    share = 1.0 - RESERVED[request.priority]
    earliest = max(now, budget.blocked_until)
    primary = budget.primary.get(request.resource)
    if primary and primary.reset_at > earliest and primary.remaining <= primary.limit * (1.0 - share):
        earliest = primary.reset_at
    cost = limits.write_points if request.is_write else limits.read_points
    earliest = budget.points.available_at(earliest, cost, _share_of(limits.usable_points, share))
    if request.is_content:
        earliest = budget.content.available_at(earliest, 1, _share_of(limits.content_per_minute, share))
        earliest = budget.content_hour.available_at(earliest, 1, _share_of(limits.content_per_hour, share))
    return earliest


def _share_of(limit: int, share: float) -> int:
    return max(1, int(limit * share))


def _record_write(
    budget: RateLimitState, request: RateLimitRequest, send_at: float, limits: RateLimits
) -> RateLimitState:
    primary = budget.primary
    if current := primary.get(request.resource):
        primary = {**primary, request.resource: replace(current, remaining=max(0, current.remaining - 1))}
    return replace(
        budget,
        points=budget.points.add(send_at, limits.write_points),
        content=budget.content.add(send_at, 1) if request.is_content else budget.content,
        content_hour=budget.content_hour.add(send_at, 1) if request.is_content else budget.content_hour,
        bucket=budget.bucket.take(send_at, limits.refill) if limits.refill else budget.bucket,
        primary=primary,
        queue={priority: last_slot for priority, last_slot in budget.queue.items() if last_slot > send_at},
    )


def remaining(budget: RateLimitState, now: float, limits: RateLimits) -> dict[str, int]:
    """What is left at `now`, by limit, for the most important priority."""
    amounts = {
        resource: primary.remaining if primary.reset_at > now else primary.limit
        for resource, primary in budget.primary.items()
    }
    blocked = budget.blocked_until > now
    return amounts | {
        "points_minute": 0 if blocked else max(0, limits.points_per_minute - budget.points.used(now)),
        "content_minute": 0 if blocked else max(0, limits.content_per_minute - budget.content.used(now)),
        "content_hour": max(0, limits.content_per_hour - budget.content_hour.used(now)),
    }
