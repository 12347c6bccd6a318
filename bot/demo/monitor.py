"""Reads the demo's state from the bot's database, so that the display shows what the bot knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from adapters.database import store
from adapters.database import tables as t
from bot.demo.environment import Environment
from bot.demo.narration import AuditLine, describe_event
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
    audit_lines: tuple[AuditLine, ...]
    sent_back: int  # with feedback, because the work was not good yet
    predicted_conflicts: frozenset[int] = frozenset()  # tasks that waited because they would have met another one
    detected_conflicts: frozenset[int] = (
        frozenset()
    )  # tasks whose branch was found to conflict, with another or with the base
    digest_updates: int = 0  # how often the page of progress was drawn
    nudges: int = 0  # reminders about stalled tasks
    acknowledgements: int = 0  # escalations that were answered
    failover_seconds: tuple[
        float, ...
    ] = ()  # seconds each took, from the end of one agent's part to the start of another's

    def count(self, status: Status) -> int:
        """How many tasks are in this status."""
        return sum(task.status is status for task in self.tasks)

    @property
    def is_finished(self) -> bool:
        """Whether nothing can move any more: every task is done, failed, or waits for one that failed."""
        finished = {task.number for task in self.tasks if not task.is_open}
        failed_references = {f"#{task.number}" for task in self.tasks if task.status is Status.FAILED}
        while blocked := {
            waiting.number
            for waiting in self.tasks
            if waiting.number not in finished and failed_references & set(waiting.open_dependencies)
        }:
            finished |= blocked
            failed_references |= {f"#{number}" for number in blocked}
        return len(self.tasks) == self.expected and len(finished) == self.expected


class Watcher:
    """Looks at the database again and again, and remembers the events that it has seen."""

    def __init__(self, environment: Environment, started_at: datetime) -> None:
        """`started_at` is the moment from which time is counted."""
        self._environment = environment
        self._started_at = started_at
        self._last_event_id = 0
        self._audit_lines: list[AuditLine] = []
        self._rows: list[Mapping[str, Any]] = []

    async def take_snapshot(self) -> Snapshot:
        """How things stand now."""
        environment = self._environment
        query = (
            select(t.events)
            .where(t.events.c.repository_id == environment.shop.id, t.events.c.id > self._last_event_id)
            .order_by(t.events.c.id)
        )
        async with environment.bot.database.autocommit() as connection:
            rows = (await connection.execute(query)).mappings().all()
            tasks = await store.tasks_with_status(connection, environment.shop.id, list(Status))
        by_number = {task.number: task for task in tasks}
        for row in rows:
            self._last_event_id = row["id"]
            event = {str(name): value for name, value in row.items()}
            self._rows.append(event)
            elapsed = self._elapsed(event["occurred_at"])
            self._audit_lines += describe_event(event, by_number.get(event["task"]), elapsed)
        return Snapshot(
            elapsed=self._elapsed(environment.bot.clock.now()),
            expected=len(environment.alice.scenario.demo_tasks),
            tasks=tuple(tasks),
            agents=tuple(self._agents(tasks)),
            audit_lines=tuple(self._audit_lines),
            sent_back=len(self._sent_back_events()),
            predicted_conflicts=self._conflicting_tasks("overlap"),
            detected_conflicts=self._conflicting_tasks("branches", "base"),
            digest_updates=self._count_events(EventType.PROGRESS_POSTED),
            nudges=sum(row["payload"].get("rung") == EscalationStep.REMIND for row in self._rows),
            acknowledgements=self._count_events(EventType.ACKNOWLEDGED),
            failover_seconds=self._failover_seconds(),
        )

    def _elapsed(self, at: datetime) -> float:
        return max(0.0, (at - self._started_at).total_seconds()) / SPEED

    def _count_events(self, event_type: EventType, agent: str | None = None) -> int:
        return sum(row["type"] == event_type.value and agent in (None, row["agent"]) for row in self._rows)

    def _sent_back_events(self, agent: str | None = None) -> list[Mapping[str, Any]]:
        """Attempts that returned with feedback; a lost agent gives none."""
        return [
            row
            for row in self._rows
            if row["type"] == EventType.TASK_SENT_BACK.value
            and row["payload"].get("outcome") == "failed"
            and agent in (None, row["agent"])
        ]

    def _conflicting_tasks(self, *kinds: str) -> frozenset[int]:
        """The tasks of which the bot says that they are in a conflict of these kinds."""
        conflict_rows = (row for row in self._rows if row["type"] == EventType.CONFLICT_DETECTED.value)
        return frozenset(row["task"] for row in conflict_rows if row["payload"].get("kind") in kinds)

    def _failover_seconds(self) -> tuple[float, ...]:
        """How long tasks had no agent after one was lost: until the start of the next was accepted."""
        lost_at: dict[int, datetime] = {}
        durations: list[float] = []
        for row in self._rows:
            event_type, payload, task = row["type"], row["payload"], row["task"]
            if event_type == EventType.TASK_SENT_BACK.value and payload.get("outcome") in ("silent", "unavailable"):
                lost_at[task] = row["occurred_at"]
            elif event_type == EventType.TASK_ACKNOWLEDGED.value and task in lost_at:
                durations.append((row["occurred_at"] - lost_at.pop(task)).total_seconds() / SPEED)
        return tuple(durations)

    def _agents(self, tasks: Sequence[Task]) -> list[AgentRow]:
        configured = self._environment.alice.scenario.agents
        return [
            AgentRow(
                name,
                self._environment.capabilities.get(name, ()),
                tuple(
                    task.number
                    for task in tasks
                    if task.status is Status.IN_PROGRESS and task.lease and task.lease.agent == name
                ),
                self._count_events(EventType.TASK_COMPLETED, name),
                len(self._sent_back_events(name)),
            )
            for name in configured
        ]

    async def is_idle(self) -> bool:
        """Whether nothing waits to be handled or to be sent."""
        pending_effects = select(func.count()).select_from(t.outbox).where(t.outbox.c.state == "pending")
        unhandled_deliveries = select(func.count()).select_from(t.deliveries).where(t.deliveries.c.handled_at.is_(None))
        due_retrospectives = (
            select(func.count()).select_from(t.deadlines).where(t.deadlines.c.target_kind == RETROSPECTIVE)
        )
        async with self._environment.bot.database.autocommit() as connection:
            counts = [
                (await connection.execute(query)).scalar_one()
                for query in (pending_effects, unhandled_deliveries, due_retrospectives)
            ]
        return self._environment.hub.is_idle and not any(counts)
