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
from core.circuit_breaker import Circuit, CircuitState

SEEN_EVERY = timedelta(seconds=30)


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
    COOLING = "cooling"
    RESUMED = "resumed"  # a person allows it to get tasks again


@dataclass(frozen=True, slots=True)
class AgentStateChange:
    """A change of an agent's state, stored in the transaction of the decision."""

    agent: str
    turn: StateChangeKind
    at: datetime
    reason: str = ""
    until: datetime | None = None  # end of the back-off


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """When an agent last showed life, and when it last fell silent."""

    seen_at: datetime | None = None
    last_failure_at: datetime | None = None

    @property
    def in_error(self) -> bool:
        """Whether the agent failed and has shown no life since."""
        return self.last_failure_at is not None and (self.seen_at is None or self.seen_at <= self.last_failure_at)

    def after(self, news: AgentStateChange) -> SignsOfLife:
        """The signs of life after this change."""
        match news.turn:
            case StateChangeKind.SEEN | StateChangeKind.DELIVERED:
                return replace(self, seen_at=news.at)
            case StateChangeKind.FAILED:
                return replace(self, last_failure_at=news.at)
            case StateChangeKind.RESUMED:
                return replace(self, last_failure_at=None)
            case StateChangeKind.COOLING:
                return self

    def changes_with(self, news: AgentStateChange) -> bool:
        """Whether the change is worth a write: signs of life closer together than `SEEN_EVERY` are not."""
        if news.turn is not StateChangeKind.SEEN or self.seen_at is None or self.in_error:
            return True
        return self.seen_at <= news.at - SEEN_EVERY


@dataclass(frozen=True, slots=True)
class HealthResult:
    """The result of an adapter's health check: the problem in words for a person, empty if there is none."""

    problems: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """The stored state of an agent."""

    seen_at: datetime | None = None  # its last sign of life on any task
    last_failure_at: datetime | None = None
    last_failure_reason: str = ""
    failures: int = 0  # since it last handed in work
    backoff_until: datetime | None = None
    backoff_reason: str = ""
    assigned: int = 0  # how many tasks it ever received

    @property
    def in_error(self) -> bool:
        """Whether the agent failed and has shown no life since."""
        return SignsOfLife(self.seen_at, self.last_failure_at).in_error


@dataclass(frozen=True, slots=True)
class AgentAvailability:
    """The present state of an agent, with the reason as text to print after its name."""

    state: AgentState
    reason: str = ""
    until: datetime | None = None  # when to evaluate it again, even without an event
    takes_work: bool = False  # apart from its limit of tasks, which assignment checks itself
    on_trial: bool = False  # it may hold one task, to prove that it is back
    own: bool = False  # the agent asked for this pause; a person can end it (`/agents resume`)


AVAILABLE = AgentAvailability(AgentState.AVAILABLE, takes_work=True)


def pause_after(failures: int, timeouts: Timeouts) -> timedelta:
    """The pause for an agent in error: `timeouts.ack`, doubled each time, up to `timeouts.stall`.

    The first pause is short, so that one crash does not block a task that no other agent can do.
    """
    return min(timeouts.ack * (1 << min(max(failures, 1) - 1, 20)), max(timeouts.stall, timeouts.ack))


def condition(
    record: AgentRecord,
    now: datetime,
    timeouts: Timeouts,
    *,
    holding: int = 0,
    max_tasks: int = 1,
    startable: str | None = None,
    circuit: Circuit | None = None,
) -> AgentAvailability:
    """The state of an agent that holds `holding` of at most `max_tasks` tasks.

    `startable` says why nothing can start it, if so; `circuit` is the circuit breaker of its service.
    """
    if startable:
        return AgentAvailability(AgentState.OFFLINE, startable)
    breaker = circuit.state(now) if circuit else CircuitState.CLOSED
    if circuit and breaker is CircuitState.OPEN:
        why = f"is paused until {spoken_moment(circuit.open_until)}: its service failed {circuit.failures} times"
        return AgentAvailability(AgentState.ERROR, f"{why} ({circuit.reason})", circuit.open_until)
    if record.backoff_until and record.backoff_until > now:
        why = f"takes no work until {spoken_moment(record.backoff_until)}: {record.backoff_reason}"
        return AgentAvailability(AgentState.BUSY, why, record.backoff_until, own=True)
    if record.in_error and record.last_failure_at:
        again = record.last_failure_at + pause_after(record.failures, timeouts)
        gone = now - (record.seen_at or record.last_failure_at) >= timeouts.attempt
        state = AgentState.OFFLINE if gone else AgentState.ERROR
        what = f"failed at {spoken_moment(record.last_failure_at)} ({record.last_failure_reason})"
        if now < again:
            return AgentAvailability(
                state, f"{what}; the bot tries it again from {spoken_moment(again)}", again, own=True
            )
        why = f"{what}; the bot gives it one task as a test"
        return AgentAvailability(state, why, takes_work=True, on_trial=True, own=True)
    if holding >= max_tasks:
        return AgentAvailability(AgentState.BUSY, f"is at its limit of {max_tasks}", takes_work=True)
    if breaker is CircuitState.HALF_OPEN:
        why = "has a service that did not answer; the bot gives it one task as a test"
        return AgentAvailability(AgentState.ERROR, why, takes_work=True, on_trial=True)
    return AVAILABLE


def spoken_moment(at: datetime | None) -> str:
    """A time in words that do not depend on when they are written."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "later"
