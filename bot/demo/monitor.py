"""How things stand, read from the bot's database: what is shown is what the bot knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from adapters.database import store
from adapters.database import tables as t
from bot.demo.environment import Environment
from bot.demo.narration import AuditLine, told
from bot.demo.scenario import SPEED
from core.audit.events import EventType
from core.stall.model import EscalationStep
from core.task.model import Status, Task
from engine.retrospectives import RETROSPECTIVE


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent: what it can do, what it is at work on, and how its attempts ended."""

    name: str
    capabilities: tuple[str, ...]
    busy_with: tuple[int, ...]
    done: int
    sent_back: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment. `elapsed` is in seconds of the watcher's since the first task was about to be filed."""

    elapsed: float
    expected: int
    tasks: tuple[Task, ...]
    agents: tuple[AgentRow, ...]
    happenings: tuple[AuditLine, ...]
    sent_back: int  # with feedback, because the work was not good yet
    foreseen: frozenset[int] = frozenset()  # tasks that waited because they would have met another one
    collided: frozenset[int] = frozenset()  # tasks whose branch was found to conflict, with another or with the base
    digests: int = 0  # how often the page of progress was drawn
    nudges: int = 0  # how often somebody was told that a task stands still
    answered: int = 0  # calls for a person that were answered
    failovers: tuple[float, ...] = ()  # seconds each took, from the end of one agent's part to the start of another's

    def count(self, status: Status) -> int:
        """How many tasks are in this status."""
        return sum(task.status is status for task in self.tasks)

    @property
    def over(self) -> bool:
        """Whether nothing can move any more: every task is done, failed, or waits for one that failed."""
        settled = {task.number for task in self.tasks if not task.is_open}
        hopeless = {f"#{task.number}" for task in self.tasks if task.status is Status.FAILED}
        while stuck := {x.number for x in self.tasks if x.number not in settled and hopeless & set(x.waits_for)}:
            settled |= stuck
            hopeless |= {f"#{number}" for number in stuck}
        return len(self.tasks) == self.expected and len(settled) == self.expected


class Watcher:
    """Looks at the database again and again, and remembers the events that it has seen."""

    def __init__(self, stage: Environment, since: datetime) -> None:
        """`since` is the moment from which time is counted."""
        self._stage = stage
        self._since = since
        self._last = 0
        self._happenings: list[AuditLine] = []
        self._rows: list[Mapping[str, Any]] = []

    async def look(self) -> Snapshot:
        """How things stand now."""
        stage = self._stage
        query = (
            select(t.events)
            .where(t.events.c.repository_id == stage.shop.id, t.events.c.id > self._last)
            .order_by(t.events.c.id)
        )
        async with stage.bot.database.autocommit() as connection:
            rows = (await connection.execute(query)).mappings().all()
            tasks = await store.tasks_with_status(connection, stage.shop.id, list(Status))
        by_number = {task.number: task for task in tasks}
        for row in rows:
            self._last = row["id"]
            event = {str(name): value for name, value in row.items()}
            self._rows.append(event)
            elapsed = self._elapsed(event["occurred_at"])
            self._happenings += told(event, by_number.get(event["task"]), elapsed)
        return Snapshot(
            elapsed=self._elapsed(stage.bot.clock.now()),
            expected=len(stage.alice.story.errands),
            tasks=tuple(tasks),
            agents=tuple(self._agents(tasks)),
            happenings=tuple(self._happenings),
            sent_back=len(self._sent_back()),
            foreseen=self._in_conflict("overlap"),
            collided=self._in_conflict("branches", "base"),
            digests=self._count(EventType.PROGRESS_POSTED),
            nudges=sum(row["payload"].get("rung") == EscalationStep.NUDGE for row in self._rows),
            answered=self._count(EventType.ACKNOWLEDGED),
            failovers=self._failovers(),
        )

    def _elapsed(self, at: datetime) -> float:
        return max(0.0, (at - self._since).total_seconds()) / SPEED

    def _count(self, type_: EventType, agent: str | None = None) -> int:
        return sum(row["type"] == type_.value and agent in (None, row["agent"]) for row in self._rows)

    def _sent_back(self, agent: str | None = None) -> list[Mapping[str, Any]]:
        """Where there was something to learn; an agent that was lost on the way taught nobody anything."""
        return [
            row
            for row in self._rows
            if row["type"] == EventType.TASK_SENT_BACK.value
            and row["payload"].get("outcome") == "failed"
            and agent in (None, row["agent"])
        ]

    def _in_conflict(self, *kinds: str) -> frozenset[int]:
        """The tasks of which the bot says that they are in a conflict of these kinds."""
        found = (row for row in self._rows if row["type"] == EventType.CONFLICT_DETECTED.value)
        return frozenset(row["task"] for row in found if row["payload"].get("kind") in kinds)

    def _failovers(self) -> tuple[float, ...]:
        """How long tasks were in nobody's hands after an agent was lost: until the start of the next was accepted."""
        lost: dict[int, datetime] = {}
        took: list[float] = []
        for row in self._rows:
            type_, payload, task = row["type"], row["payload"], row["task"]
            if type_ == EventType.TASK_SENT_BACK.value and payload.get("outcome") in ("silent", "unavailable"):
                lost[task] = row["occurred_at"]
            elif type_ == EventType.TASK_ACKNOWLEDGED.value and task in lost:
                took.append((row["occurred_at"] - lost.pop(task)).total_seconds() / SPEED)
        return tuple(took)

    def _agents(self, tasks: Sequence[Task]) -> list[AgentRow]:
        configured = self._stage.alice.story.agents
        return [
            AgentRow(
                name,
                self._stage.capabilities.get(name, ()),
                tuple(x.number for x in tasks if x.status is Status.IN_PROGRESS and x.lease and x.lease.agent == name),
                self._count(EventType.TASK_COMPLETED, name),
                len(self._sent_back(name)),
            )
            for name in configured
        ]

    async def quiet(self) -> bool:
        """Whether nothing waits to be handled or to be sent."""
        waiting = select(func.count()).select_from(t.outbox).where(t.outbox.c.state == "waiting")
        unhandled = select(func.count()).select_from(t.deliveries).where(t.deliveries.c.handled_at.is_(None))
        due = select(func.count()).select_from(t.deadlines).where(t.deadlines.c.subject == RETROSPECTIVE)
        async with self._stage.bot.database.autocommit() as connection:
            counts = [(await connection.execute(query)).scalar_one() for query in (waiting, unhandled, due)]
        return self._stage.hub.is_idle and not any(counts)
