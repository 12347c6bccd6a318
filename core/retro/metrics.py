"""Computes metrics of finished tasks from the audit log.

The events of a task are cut for this: they begin when the task was created (or, if it was reopened, after it was last
done) and end when it was done. All times are wall-clock times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from core.audit.events import ASSIGNMENTS, Event, EventType
from core.task.model import Role

LATE_KINDS = ("branches", "base")  # kinds of conflicts that were found when the work existed
_AGENT_FAILURES = ("silent", "unavailable")  # outcomes caused by the agent and not by its work


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """One task, from creation to end.

    `attempts` are implementations by agents and people; each after the first is one of `rework` (the previous one
    returned with feedback), `failovers` (its agent failed or was unavailable) and `taken_back` (a person took it back),
    so that 1 + rework + failovers + taken_back = attempts if there is any.
    """

    number: int
    title: str
    created_at: datetime
    done_at: datetime
    ready_at: datetime | None = None  # when it was first ready
    assigned_at: datetime | None = None  # when it was first assigned
    pull_opened_at: datetime | None = None  # when its pull request first was ready for review
    attempts: int = 0
    rework: int = 0
    failovers: int = 0
    released: int = 0
    early_conflicts: int = 0  # conflicts that were found before any work was lost
    conflicts: int = 0  # conflicts of finished work, with the base or with other work
    escalations: int = 0  # how often a person was notified
    agents: tuple[str, ...] = ()  # that took part, without people, in order
    files: tuple[str, ...] = ()  # files in conflict

    @property
    def lead_time(self) -> timedelta:
        """Lead time: from creation to end."""
        return self.done_at - self.created_at

    @property
    def cycle_time(self) -> timedelta | None:
        """Cycle time: from the first assignment to its end; None if it was never assigned."""
        return self.done_at - self.assigned_at if self.assigned_at else None

    @property
    def time_to_ready(self) -> timedelta:
        """How long it took to become ready."""
        return (self.ready_at or self.assigned_at or self.created_at) - self.created_at

    @property
    def time_to_assign(self) -> timedelta | None:
        """How long it waited for an assignment once it was ready."""
        return self.assigned_at - (self.ready_at or self.created_at) if self.assigned_at else None

    @property
    def review_time(self) -> timedelta | None:
        """From the first hand-in to the end: checks, reviews, rework, the merge."""
        return self.done_at - self.pull_opened_at if self.pull_opened_at else None


@dataclass(frozen=True, slots=True)
class AgentMetrics:
    """One agent over all these tasks, in every role."""

    name: str
    tasks: tuple[int, ...]  # in which it took part
    attempts: int = 0  # in any role
    completed: int = 0  # tasks that ended with its work
    sent_back: int = 0  # attempts that returned with feedback
    failed: int = 0  # times that it failed or was unavailable
    conflicts: int = 0  # conflicts of its work
    median_work_time: timedelta | None = None  # median time from assignment to handing in; None: it never did


def task_metrics(events: Sequence[Event], title: str = "") -> TaskMetrics | None:
    """The figures of one task from its cut events; None if they do not end with the task done."""
    completed = next((event for event in reversed(events) if event.type is EventType.TASK_COMPLETED), None)
    if completed is None:
        return None
    events = [event for event in events if event.occurred_at <= completed.occurred_at]
    work_events = [event for event in events if _is_work(event)]
    reasons = Counter(_retry_reason(events, events.index(event)) for event in work_events[1:])
    conflict_events = [event for event in events if event.type is EventType.CONFLICT_DETECTED]
    late_conflicts = [event for event in conflict_events if event.payload.get("kind") in LATE_KINDS]
    files = (str(path) for event in late_conflicts for path in event.payload.get("files", ()))
    return TaskMetrics(
        number=completed.task,
        title=title,
        created_at=events[0].occurred_at,
        done_at=completed.occurred_at,
        ready_at=_first_time(events, EventType.TASK_READY),
        assigned_at=next((event.occurred_at for event in events if event.type in ASSIGNMENTS), None),
        pull_opened_at=_first_time(events, EventType.TASK_REVIEW),
        attempts=len(work_events),
        rework=reasons["rework"],
        failovers=reasons["failover"],
        released=reasons["taken back"],
        early_conflicts=sum(event.payload.get("kind") not in (*LATE_KINDS, "idle") for event in conflict_events),
        conflicts=len(late_conflicts),
        escalations=sum(event.type is EventType.ESCALATED for event in events),
        agents=tuple(dict.fromkeys(event.agent for event in _agent_assignments(events) if event.agent)),
        files=tuple(dict.fromkeys(files)),
    )


def agent_metrics(event_lists: Iterable[Sequence[Event]]) -> tuple[AgentMetrics, ...]:
    """The figures of every agent that took part in these tasks, by name."""
    all_events = [event for events in event_lists if task_metrics(events) for event in events]
    person_attempts = _person_attempts(all_events)
    tasks: dict[str, dict[int, None]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    work_times: dict[str, list[float]] = {}
    started_at: dict[tuple[int, int | None], datetime] = {}
    for event in all_events:
        name, attempt = event.agent, (event.task, event.attempt)
        if not name or attempt in person_attempts:
            continue
        if event.type in ASSIGNMENTS:
            tasks.setdefault(name, {})[event.task] = None
            counts[name, "attempts"] += 1
            started_at[attempt] = event.occurred_at
        elif event.type is EventType.TASK_SENT_BACK:
            counts[name, "failed" if event.payload.get("outcome") in _AGENT_FAILURES else "came back"] += 1
        elif event.type is EventType.TASK_REVIEW and attempt in started_at:
            work_times.setdefault(name, []).append((event.occurred_at - started_at.pop(attempt)).total_seconds())
        elif event.type is EventType.TASK_COMPLETED:
            counts[name, "done"] += 1
        elif event.type is EventType.CONFLICT_DETECTED and event.payload.get("kind") in LATE_KINDS:
            counts[name, "conflicts"] += 1
    return tuple(
        AgentMetrics(
            name,
            tuple(sorted(tasks[name])),
            counts[name, "attempts"],
            counts[name, "done"],
            counts[name, "came back"],
            counts[name, "failed"],
            counts[name, "conflicts"],
            timedelta(seconds=round(median(work_times[name]))) if name in work_times else None,
        )
        for name in sorted(tasks)
    )


def middle(times: Iterable[timedelta | None]) -> timedelta | None:
    """The median of the known times, to the second; None if there is none."""
    seconds = [time.total_seconds() for time in times if time is not None]
    return timedelta(seconds=round(median(seconds))) if seconds else None


def task_titles(events_by_task: Mapping[int, Sequence[Event]]) -> dict[int, str]:
    """The titles of the tasks at creation."""
    creations = (
        event for events in events_by_task.values() for event in events if event.type is EventType.TASK_CREATED
    )
    return {event.task: str(event.payload.get("title") or "") for event in creations}


def _first_time(events: Sequence[Event], event_type: EventType) -> datetime | None:
    return next((event.occurred_at for event in events if event.type is event_type), None)


def _is_work(event: Event) -> bool:
    """Whether it begins an implementation attempt."""
    role = event.payload.get("role") or Role.IMPLEMENT
    return event.type in (EventType.TASK_ASSIGNED, EventType.TASK_REASSIGNED) and role == Role.IMPLEMENT


def _retry_reason(events: Sequence[Event], index: int) -> str:
    """What ended the attempt before the one that begins at this index."""
    for event in reversed(events[:index]):
        if event.type is EventType.TASK_SENT_BACK and event.payload.get("role") in (None, Role.IMPLEMENT):
            return "failover" if event.payload.get("outcome") in _AGENT_FAILURES else "rework"
        if event.type is EventType.AGENT_FAILED:
            return "failover"
        if _is_work(event):
            break
    return "taken back"


def _person_attempts(events: Iterable[Event]) -> set[tuple[int, int | None]]:
    """The attempts of people who claimed a task: they are not measured."""
    assignments = (event for event in events if event.type in ASSIGNMENTS)
    return {(event.task, event.attempt) for event in assignments if event.payload.get("reason") == "claimed"}


def _agent_assignments(events: Sequence[Event]) -> list[Event]:
    person_attempts = _person_attempts(events)
    return [
        event for event in events if event.type in ASSIGNMENTS and (event.task, event.attempt) not in person_attempts
    ]
