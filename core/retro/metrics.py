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

LATE = ("branches", "base")  # kinds of conflicts that were found when the work existed
_LOST = ("silent", "unavailable")  # outcomes caused by the agent and not by its work


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
    handed_in_at: datetime | None = None  # when its pull request first was ready for review
    attempts: int = 0
    rework: int = 0
    failovers: int = 0
    taken_back: int = 0
    foreseen: int = 0  # conflicts that were found before any work was lost
    conflicts: int = 0  # conflicts of finished work, with the base or with other work
    called: int = 0  # how often a person was notified
    agents: tuple[str, ...] = ()  # that took part, without people, in order
    files: tuple[str, ...] = ()  # files in conflict

    @property
    def lead(self) -> timedelta:
        """Lead time: from creation to end."""
        return self.done_at - self.created_at

    @property
    def cycle(self) -> timedelta | None:
        """Cycle time: from the first assignment to its end; None if it was never assigned."""
        return self.done_at - self.assigned_at if self.assigned_at else None

    @property
    def unready(self) -> timedelta:
        """How long it took to become ready."""
        return (self.ready_at or self.assigned_at or self.created_at) - self.created_at

    @property
    def waited(self) -> timedelta | None:
        """How long it waited for an assignment once it was ready."""
        return self.assigned_at - (self.ready_at or self.created_at) if self.assigned_at else None

    @property
    def closing(self) -> timedelta | None:
        """From the first hand-in to the end: checks, reviews, rework, the merge."""
        return self.done_at - self.handed_in_at if self.handed_in_at else None


@dataclass(frozen=True, slots=True)
class AgentMetrics:
    """One agent over all these tasks, in every role."""

    name: str
    tasks: tuple[int, ...]  # in which it took part
    attempts: int = 0  # in any role
    done: int = 0  # tasks that ended with its work
    came_back: int = 0  # attempts that returned with feedback
    failed: int = 0  # times that it failed or was unavailable
    conflicts: int = 0  # conflicts of its work
    working: timedelta | None = None  # median time from assignment to handing in; None: it never did


def figures(trail: Sequence[Event], title: str = "") -> TaskMetrics | None:
    """The figures of one task from its cut events; None if they do not end with the task done."""
    done = next((event for event in reversed(trail) if event.type is EventType.TASK_COMPLETED), None)
    if done is None:
        return None
    trail = [event for event in trail if event.occurred_at <= done.occurred_at]
    work = [event for event in trail if _is_work(event)]
    reasons = Counter(_why_again(trail, trail.index(event)) for event in work[1:])
    found = [event for event in trail if event.type is EventType.CONFLICT_DETECTED]
    late = [event for event in found if event.payload.get("kind") in LATE]
    files = (str(path) for event in late for path in event.payload.get("files", ()))
    return TaskMetrics(
        number=done.task,
        title=title,
        created_at=trail[0].occurred_at,
        done_at=done.occurred_at,
        ready_at=_first(trail, EventType.TASK_READY),
        assigned_at=next((event.occurred_at for event in trail if event.type in ASSIGNMENTS), None),
        handed_in_at=_first(trail, EventType.TASK_REVIEW),
        attempts=len(work),
        rework=reasons["rework"],
        failovers=reasons["failover"],
        taken_back=reasons["taken back"],
        foreseen=sum(event.payload.get("kind") not in (*LATE, "idle") for event in found),
        conflicts=len(late),
        called=sum(event.type is EventType.ESCALATED for event in trail),
        agents=tuple(dict.fromkeys(event.agent for event in _assignments(trail) if event.agent)),
        files=tuple(dict.fromkeys(files)),
    )


def of_agents(trails: Iterable[Sequence[Event]]) -> tuple[AgentMetrics, ...]:
    """The figures of every agent that took part in these tasks, by name."""
    every = [event for trail in trails if figures(trail) for event in trail]
    people = _people(every)
    tasks: dict[str, dict[int, None]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    took: dict[str, list[float]] = {}
    begun: dict[tuple[int, int | None], datetime] = {}
    for event in every:
        name, attempt = event.agent, (event.task, event.attempt)
        if not name or attempt in people:
            continue
        if event.type in ASSIGNMENTS:
            tasks.setdefault(name, {})[event.task] = None
            counts[name, "attempts"] += 1
            begun[attempt] = event.occurred_at
        elif event.type is EventType.TASK_SENT_BACK:
            counts[name, "failed" if event.payload.get("outcome") in _LOST else "came back"] += 1
        elif event.type is EventType.TASK_REVIEW and attempt in begun:
            took.setdefault(name, []).append((event.occurred_at - begun.pop(attempt)).total_seconds())
        elif event.type is EventType.TASK_COMPLETED:
            counts[name, "done"] += 1
        elif event.type is EventType.CONFLICT_DETECTED and event.payload.get("kind") in LATE:
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
            timedelta(seconds=round(median(took[name]))) if name in took else None,
        )
        for name in sorted(tasks)
    )


def middle(times: Iterable[timedelta | None]) -> timedelta | None:
    """The median of the known times, to the second; None if there is none."""
    known = [time.total_seconds() for time in times if time is not None]
    return timedelta(seconds=round(median(known))) if known else None


def titles_of(trails: Mapping[int, Sequence[Event]]) -> dict[int, str]:
    """The titles of the tasks at creation."""
    made = (event for trail in trails.values() for event in trail if event.type is EventType.TASK_CREATED)
    return {event.task: str(event.payload.get("title") or "") for event in made}


def _first(trail: Sequence[Event], type_: EventType) -> datetime | None:
    return next((event.occurred_at for event in trail if event.type is type_), None)


def _is_work(event: Event) -> bool:
    """Whether it begins an implementation attempt."""
    part = event.payload.get("role") or Role.IMPLEMENT
    return event.type in (EventType.TASK_ASSIGNED, EventType.TASK_REASSIGNED) and part == Role.IMPLEMENT


def _why_again(trail: Sequence[Event], at: int) -> str:
    """What ended the attempt before the one that begins at this index."""
    for event in reversed(trail[:at]):
        if event.type is EventType.TASK_SENT_BACK and event.payload.get("role") in (None, Role.IMPLEMENT):
            return "failover" if event.payload.get("outcome") in _LOST else "rework"
        if event.type is EventType.AGENT_FAILED:
            return "failover"
        if _is_work(event):
            break
    return "taken back"


def _people(trail: Iterable[Event]) -> set[tuple[int, int | None]]:
    """The attempts of people who claimed a task: they are not measured."""
    began = (event for event in trail if event.type in ASSIGNMENTS)
    return {(event.task, event.attempt) for event in began if event.payload.get("reason") == "claimed"}


def _assignments(trail: Sequence[Event]) -> list[Event]:
    people = _people(trail)
    return [event for event in trail if event.type in ASSIGNMENTS and (event.task, event.attempt) not in people]
