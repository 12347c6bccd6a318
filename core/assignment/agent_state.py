"""How an agent is, apart from any one task: available, busy, in error, or offline, and until when.

Agents say little while they have nothing to do, so silence counts only of one that was given a task: an agent is in
error when it fell silent on a task or could not be started, and until it shows life again. Meanwhile it gets no tasks,
but for one on trial after each pause; the pauses grow, so that a dead agent costs less and less.
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
    BUSY = "busy"  # at its limit of tasks, or at a limit of its service: it cools down
    ERROR = "error"  # it fell silent or could not be started, or its service does not answer
    OFFLINE = "offline"  # nothing can start it, or nothing was heard of it for long


class StateChangeKind(StrEnum):
    """What a decision on a task tells of the agent itself."""

    SEEN = "seen"
    DELIVERED = "delivered"
    FAILED = "failed"
    COOLING = "cooling"
    RESUMED = "resumed"  # a person says that it can have tasks again


@dataclass(frozen=True, slots=True)
class AgentStateChange:
    """News of an agent, kept beside its settings in the transaction of the decision."""

    agent: str
    turn: StateChangeKind
    at: datetime
    reason: str = ""
    until: datetime | None = None  # of cooling


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """When an agent last showed life, and when it last fell silent."""

    seen_at: datetime | None = None
    failed_at: datetime | None = None

    @property
    def in_error(self) -> bool:
        """Whether it failed and has shown no life since."""
        return self.failed_at is not None and (self.seen_at is None or self.seen_at <= self.failed_at)

    def after(self, news: AgentStateChange) -> SignsOfLife:
        """As they are after this news."""
        match news.turn:
            case StateChangeKind.SEEN | StateChangeKind.DELIVERED:
                return replace(self, seen_at=news.at)
            case StateChangeKind.FAILED:
                return replace(self, failed_at=news.at)
            case StateChangeKind.RESUMED:
                return replace(self, failed_at=None)
            case StateChangeKind.COOLING:
                return self

    def changes_with(self, news: AgentStateChange) -> bool:
        """Whether the news is worth a write: signs of life that come thicker than `SEEN_EVERY` are not."""
        if news.turn is not StateChangeKind.SEEN or self.seen_at is None or self.in_error:
            return True
        return self.seen_at <= news.at - SEEN_EVERY


@dataclass(frozen=True, slots=True)
class HealthResult:
    """What kept an agent from being started when its adapter was asked: in words for a person; empty when nothing."""

    problems: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """What is kept of an agent."""

    seen_at: datetime | None = None  # its last sign of life on any task
    failed_at: datetime | None = None
    failed_reason: str = ""
    failures: int = 0  # since it last handed work in
    cooling_until: datetime | None = None
    cooling_reason: str = ""
    assigned: int = 0  # how often it was ever given a task

    @property
    def in_error(self) -> bool:
        """Whether it failed and has shown no life since."""
        return SignsOfLife(self.seen_at, self.failed_at).in_error


@dataclass(frozen=True, slots=True)
class AgentAvailability:
    """The state of an agent now, with the reason in words that go behind its name."""

    state: AgentState
    reason: str = ""
    until: datetime | None = None  # when it has to be looked at again, though nobody tells of it
    takes_work: bool = False  # but for its limit of tasks, which the assignment counts while it hands out
    on_trial: bool = False  # it may have one task in hand, to show that it is back
    own: bool = False  # it is a pause of the agent's own: a person can end it (`/agents resume`)


AVAILABLE = AgentAvailability(AgentState.AVAILABLE, takes_work=True)


def pause_after(failures: int, timeouts: Timeouts) -> timedelta:
    """How long an agent in error is left alone: `timeouts.ack`, doubled each time, up to `timeouts.stall`.

    It begins short, because where nobody else can do the task, a crash that happens once shall not cost much.
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
    """The state of an agent that has `holding` of `max_tasks` in hand.

    `startable` says why nothing can start it, if so; `circuit` is the breaker of its service.
    """
    if startable:
        return AgentAvailability(AgentState.OFFLINE, startable)
    breaker = circuit.state(now) if circuit else CircuitState.CLOSED
    if circuit and breaker is CircuitState.OPEN:
        why = f"is paused until {spoken_moment(circuit.open_until)}: its service failed {circuit.failures} times"
        return AgentAvailability(AgentState.ERROR, f"{why} ({circuit.reason})", circuit.open_until)
    if record.cooling_until and record.cooling_until > now:
        why = f"takes no work until {spoken_moment(record.cooling_until)}: {record.cooling_reason}"
        return AgentAvailability(AgentState.BUSY, why, record.cooling_until, own=True)
    if record.in_error and record.failed_at:
        again = record.failed_at + pause_after(record.failures, timeouts)
        gone = now - (record.seen_at or record.failed_at) >= timeouts.attempt
        state = AgentState.OFFLINE if gone else AgentState.ERROR
        what = f"failed at {spoken_moment(record.failed_at)} ({record.failed_reason})"
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
    """A time in words that stay the same however often they are written."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "later"
