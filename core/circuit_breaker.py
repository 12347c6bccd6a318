"""Implements the circuit breaker of an agent service: after failures in a row, calls pause for a while.

closed → open after repeated failures → half-open when the pause is over: one call goes through, the probe. Its success
closes the circuit; its failure opens it again for twice as long.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from config.agent_kinds import AgentBase


class CircuitState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a circuit opens, and for how long."""

    failures: int  # in a row
    window: timedelta  # between two failures; after a longer time without calls they are no longer "in a row"
    pause: timedelta
    max_pause: timedelta


# An agent service: a few failures mean that it is down, and calling it rarely does no harm, because the tasks go to
# agents elsewhere.
SERVICE_LIMITS = BreakerLimits(5, timedelta(minutes=10), timedelta(minutes=1), timedelta(minutes=30))
# Agents that are reached through GitHub. If GitHub is down nothing else works either, there is no alternative, and all
# repositories share the circuit. So it opens late and never for long.
GITHUB_LIMITS = BreakerLimits(10, timedelta(minutes=10), timedelta(seconds=30), timedelta(minutes=2))
GITHUB_BREAKERS = frozenset({"actions", "copilot", "mention"})

PROBE_TIMEOUT = timedelta(minutes=1)  # a probe without a result after this time died with its process


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """One circuit breaker. A new one is closed."""

    name: str
    failures: int = 0  # in a row
    failed_at: datetime | None = None
    open_until: datetime | None = None  # None: closed; past: half-open
    probe_at: datetime | None = None  # when the probe went out, if one is out
    reason: str = ""  # of the last failure

    @property
    def limits(self) -> BreakerLimits:
        """Its thresholds."""
        return GITHUB_LIMITS if self.name in GITHUB_BREAKERS else SERVICE_LIMITS

    def state(self, now: datetime) -> CircuitState:
        """Its state now."""
        if self.open_until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self.open_until else CircuitState.HALF_OPEN

    def reopens_at(self, now: datetime) -> datetime | None:
        """Until when a call has to wait; None if it may go through now."""
        match self.state(now):
            case CircuitState.OPEN:
                return self.open_until
            case CircuitState.HALF_OPEN if self.probe_at and now < self.probe_at + PROBE_TIMEOUT:
                return self.probe_at + PROBE_TIMEOUT
            case _:
                return None

    def with_probe(self, now: datetime) -> CircuitBreaker:
        """The circuit after a call goes through: if half-open, the call is the probe and no other call follows it."""
        return replace(self, probe_at=now) if self.state(now) is CircuitState.HALF_OPEN else self

    def record_failure(self, now: datetime, reason: str) -> CircuitBreaker:
        """The circuit after a call failed because of the service, not because of the request."""
        state, limits = self.state(now), self.limits
        if state is CircuitState.OPEN:
            return self  # it was sent before the circuit opened, so it adds nothing
        is_stale = self.failed_at is None or now - self.failed_at > limits.window
        failures = 1 if is_stale and state is CircuitState.CLOSED else self.failures + 1
        excess = failures - limits.failures
        if excess < 0:
            return replace(self, failures=failures, failed_at=now, reason=reason)
        pause = min(limits.pause * 2 ** min(excess, 20), limits.max_pause)
        return replace(self, failures=failures, failed_at=now, open_until=now + pause, probe_at=None, reason=reason)

    def record_success(self) -> CircuitBreaker:
        """The service answered."""
        return CircuitBreaker(self.name)


def breaker_name(spec: AgentBase) -> str:
    """The circuit's name of an agent: its kind, and for `http` the service (`http:cursor`, `http:host`)."""
    kind = str(getattr(spec, "adapter", ""))
    if kind != "http":
        return kind
    host = urlsplit(str(getattr(spec, "url", None) or "")).hostname
    return f"http:{getattr(spec, 'preset', None) or host or 'unknown'}"


class CircuitOpen(OSError):
    """The service is paused until `retry_at`; nothing was sent."""

    def __init__(self, reason: str, retry_at: datetime) -> None:
        super().__init__(reason)
        self.retry_at = retry_at
