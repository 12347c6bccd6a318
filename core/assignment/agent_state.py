"""Derives an agent's state across all its tasks: available, busy, in error or offline, and until when.

Idle agents send few signs of life, so silence counts only while an agent holds a task. An agent is in error from the
moment it falls silent on a task or cannot be started until it shows life again. In that time it gets no tasks, except
one trial task after each pause. The pauses grow, so a dead agent costs less and less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from config.repository import Timeouts
from core.circuit_breaker import CircuitBreaker, CircuitState

ACTIVITY_WRITE_INTERVAL = timedelta(seconds=30)


class AgentState(StrEnum):
    """The four states of an agent in a repository."""

    AVAILABLE = "available"
    BUSY = "busy"  # at its limit of tasks, or rate-limited by its service and backing off
    ERROR = "error"  # it fell silent, could not be started, or its service does not answer
    OFFLINE = "offline"  # nothing can start it, or it has shown no sign of life for long


class StateChangeKind(StrEnum):
    """What a decision on a task says about the agent itself."""

    SEEN = "seen"
    DELIVERED = "delivered"
    FAILED = "failed"
    BACKING_OFF = "cooling"
    RESUMED = "resumed"  # a person allows it to get tasks again


@dataclass(frozen=True, slots=True)
class AgentStateChange:
    """A change of an agent's state, stored in the transaction of the decision."""

    agent: str
    kind: StateChangeKind
    occurred_at: datetime
    reason: str = ""
    until: datetime | None = None  # end of the back-off


@dataclass(frozen=True, slots=True)
class AgentActivity:
    """When an agent last showed life, and when it last fell silent."""

    seen_at: datetime | None = None
    last_failure_at: datetime | None = None

    @property
    def is_in_error(self) -> bool:
        """Whether the agent failed and has shown no life since."""
        return self.last_failure_at is not None and (self.seen_at is None or self.seen_at <= self.last_failure_at)

    def apply(self, change: AgentStateChange) -> AgentActivity:
        """The signs of life after this change."""
        match change.kind:
            case StateChangeKind.SEEN | StateChangeKind.DELIVERED:
                return replace(self, seen_at=change.occurred_at)
            case StateChangeKind.FAILED:
                return replace(self, last_failure_at=change.occurred_at)
            case StateChangeKind.RESUMED:
                return replace(self, last_failure_at=None)
            case StateChangeKind.BACKING_OFF:
                return self

    def is_significant(self, change: AgentStateChange) -> bool:
        """Whether the change is worth a write: signs of life closer together than `ACTIVITY_WRITE_INTERVAL` are not."""
        if change.kind is not StateChangeKind.SEEN or self.seen_at is None or self.is_in_error:
            return True
        return self.seen_at <= change.occurred_at - ACTIVITY_WRITE_INTERVAL


@dataclass(frozen=True, slots=True)
class HealthResult:
    """The result of an adapter's health check: the problem in words for a person, empty if there is none."""

    problems: tuple[str, ...]
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """The stored state of an agent."""

    seen_at: datetime | None = None  # its last sign of life on any task
    last_failure_at: datetime | None = None
    last_failure_reason: str = ""
    failures: int = 0  # since it last handed in work
    backoff_until: datetime | None = None
    backoff_reason: str = ""
    total_assigned: int = 0  # how many tasks it ever received

    @property
    def is_in_error(self) -> bool:
        """Whether the agent failed and has shown no life since."""
        return AgentActivity(self.seen_at, self.last_failure_at).is_in_error


@dataclass(frozen=True, slots=True)
class AgentAvailability:
    """The present state of an agent, with the reason as text to print after its name."""

    state: AgentState
    reason: str = ""
    until: datetime | None = None  # when to evaluate it again, even without an event
    accepts_work: bool = False  # apart from its limit of tasks, which assignment checks itself
    on_probation: bool = False  # it may hold one task, to prove that it is back
    can_resume: bool = False  # the agent asked for this pause; a person can end it (`/agents resume`)


AVAILABLE = AgentAvailability(AgentState.AVAILABLE, accepts_work=True)


def backoff_delay(failures: int, timeouts: Timeouts) -> timedelta:
    """The pause for an agent in error: `timeouts.ack`, doubled each time, up to `timeouts.stall`.

    The first pause is short, so that one crash does not block a task that no other agent can do.
    """
    return min(timeouts.ack * (1 << min(max(failures, 1) - 1, 20)), max(timeouts.stall, timeouts.ack))


def agent_availability(
    record: AgentRecord,
    now: datetime,
    timeouts: Timeouts,
    *,
    active_tasks: int = 0,
    max_tasks: int = 1,
    start_problem: str | None = None,
    breaker: CircuitBreaker | None = None,
) -> AgentAvailability:
    """The state of an agent that holds `active_tasks` of at most `max_tasks` tasks.

    `start_problem` says why nothing can start it, if so; `breaker` is the circuit breaker of its service.
    """
    if start_problem:
        return AgentAvailability(AgentState.OFFLINE, start_problem)
    breaker_state = breaker.state(now) if breaker else CircuitState.CLOSED
    if breaker and breaker_state is CircuitState.OPEN:
        reason = f"is paused until {format_time(breaker.open_until)}: its service failed {breaker.failures} times"
        return AgentAvailability(AgentState.ERROR, f"{reason} ({breaker.reason})", breaker.open_until)
    if record.backoff_until and record.backoff_until > now:
        reason = f"takes no work until {format_time(record.backoff_until)}: {record.backoff_reason}"
        return AgentAvailability(AgentState.BUSY, reason, record.backoff_until, can_resume=True)
    if record.is_in_error and record.last_failure_at:
        retry_at = record.last_failure_at + backoff_delay(record.failures, timeouts)
        is_offline = now - (record.seen_at or record.last_failure_at) >= timeouts.attempt
        state = AgentState.OFFLINE if is_offline else AgentState.ERROR
        failure = f"failed at {format_time(record.last_failure_at)} ({record.last_failure_reason})"
        if now < retry_at:
            return AgentAvailability(
                state, f"{failure}; the bot tries it again from {format_time(retry_at)}", retry_at, can_resume=True
            )
        reason = f"{failure}; the bot gives it one task as a test"
        return AgentAvailability(state, reason, accepts_work=True, on_probation=True, can_resume=True)
    if active_tasks >= max_tasks:
        return AgentAvailability(AgentState.BUSY, f"is at its limit of {max_tasks}", accepts_work=True)
    if breaker_state is CircuitState.HALF_OPEN:
        reason = "has a service that did not answer; the bot gives it one task as a test"
        return AgentAvailability(AgentState.ERROR, reason, accepts_work=True, on_probation=True)
    return AVAILABLE


def format_time(moment: datetime | None) -> str:
    """A time in words that do not depend on when they are written."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "later"
