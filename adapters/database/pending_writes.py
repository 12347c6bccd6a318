"""Collects what a transaction writes, and writes all of it in one statement.

A decision changes a task, its deadlines, its attempts, the outbox, the audit log and the job queue. Each key is written
at most once in a statement, because PostgreSQL refuses to change a row twice: what is set again meanwhile replaces, or
is merged with, what waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.codec import effect_to_json, task_to_json
from adapters.database.write_statements import ATTEMPT_COLUMNS, FIRST, statement_for
from core.assignment.queue import place_in_queue
from core.assignment.stats import Row
from core.audit.chain import link
from core.audit.events import Event
from core.effects.base import Effect, Notify
from core.task.deadlines import Deadline
from core.task.model import Task


@dataclass(slots=True)
class PendingWrites:
    """What waits to be written of one repository. `now` is the aware time of the transaction."""

    repository_id: int
    now: datetime
    # The number whose effects the job that runs is sending: it looks again afterwards and needs no other job.
    sending: int | None = None
    _tasks: dict[int, Task] = field(default_factory=dict)
    _attempts: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    _subjects: dict[str, tuple[Deadline, ...]] = field(default_factory=dict)
    _waits: dict[tuple[int, str, str], dict[str, Any]] = field(default_factory=dict)
    _effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    _events: list[dict[str, Any]] = field(default_factory=list)

    def save_task(self, task: Task) -> None:
        """The task is as given."""
        self._tasks[task.number] = task

    def save_attempts(self, rows: Iterable[Row]) -> None:
        """Add what is known of attempts to what the table has of them."""
        for row in rows:
            new = {name: getattr(row, name) for name in ATTEMPT_COLUMNS}
            new |= {"role": row.role.value, "capabilities": list(row.capabilities)}
            if (old := self._attempts.get((row.task, row.attempt))) is not None:
                new |= {name: old[name] for name in FIRST if old[name] is not None}
                new["longest_silence"] = max(old["longest_silence"], new["longest_silence"])
                new["started_at"], new["agent"] = old["started_at"], old["agent"]
            self._attempts[row.task, row.attempt] = new

    def replace_deadlines(self, subject: str, deadlines: Sequence[Deadline]) -> None:
        """The deadlines of a subject are exactly these. One that is over already becomes due now, not long ago.

        A row that is late would tell `scheduler.downtime` that no replica swept.
        """
        self._subjects[subject] = tuple(deadlines)

    def set_deadline(self, repository_id: int, subject: str, kind: str, due_at: datetime, attempt: int = 0) -> None:
        """One wait; a later call for the same subject and kind moves it."""
        self._waits[repository_id, subject, kind] = {
            "repository_id": repository_id,
            "subject": subject,
            "kind": kind,
            "due_at": due_at.isoformat(),
            "attempt": attempt,
        }

    def save_effect(self, number: int, effect: Effect, wait: timedelta = timedelta()) -> None:
        """Put an effect into the outbox under the number of its task, and ask for the job that sends it.

        A state effect replaces an earlier one with the same key, and may `wait` for others that replace it; a once
        effect stays what it was. A message is kept under the number of its channel, so that no channel waits for a
        task or another channel.
        """
        new = {
            "place": len(self._effects),
            "number": effect.place if isinstance(effect, Notify) else number,
            "key": effect.key,
            "kind": type(effect).__name__,
            "payload": effect_to_json(effect),
            "not_before": (self.now + wait).isoformat() if wait else None,
            "state": effect.state,
            "urgent": effect.lane.is_urgent,
        }
        old = self._effects.get(effect.key)
        if old is not None:
            if not effect.state:
                return
            new |= {"place": old["place"], "number": old["number"]}
            if old["not_before"] is None or new["not_before"] is None:
                new["not_before"] = None
            else:
                new["not_before"] = min(old["not_before"], new["not_before"])
        self._effects[effect.key] = new

    def append_events(self, events: Iterable[Event], end: tuple[int, str]) -> tuple[int, str]:
        """Append lines to the audit log after `end` (place and hash of the last line); gives the new end."""
        place, previous = end
        for event in events:
            place, previous = place + 1, link(previous, self.repository_id, event)
            self._events.append(
                {
                    "type": event.type.value,
                    "task": event.task,
                    "agent": event.agent,
                    "attempt": event.attempt,
                    "actor": event.actor,
                    "payload": dict(event.payload),
                    "changes": dict(event.changes),
                    "occurred_at": event.occurred_at.isoformat(),
                    "place": place,
                    "hash": previous,
                }
            )
        return place, previous

    async def flush(self, connection: AsyncConnection) -> None:
        """Write all that waits, in one statement; nothing where nothing waits."""
        rows: dict[str, list[dict[str, Any]]] = {
            "tasks": [_task_row(task, self.now) for task in self._tasks.values()],
            "attempts": [_plain(row) for row in self._attempts.values()],
            "subjects": [
                {"subject": subject, "kinds": [one.kind.value for one in deadlines]}
                for subject, deadlines in self._subjects.items()
            ],
            "waits": list(self._waits.values()),
            "events": self._events,
            "effects": list(self._effects.values()),
        }
        parts = tuple(name for name, found in rows.items() if found)
        if not parts:
            return
        values: dict[str, Any] = {name: rows[name] for name in parts}
        if "subjects" in parts:
            values["replaced"] = [
                {
                    "subject": subject,
                    "kind": deadline.kind.value,
                    "due_at": max(deadline.due_at, self.now).isoformat(),
                    "attempt": deadline.attempt,
                }
                for subject, deadlines in self._subjects.items()
                for deadline in deadlines
            ]
        statement = statement_for(parts)
        known = {"repository": self.repository_id, "now": self.now, "sending": self.sending}
        values |= {name: value for name, value in known.items() if name in statement._bindparams}
        for waiting in (self._tasks, self._attempts, self._subjects, self._waits, self._effects):
            waiting.clear()
        self._events = []
        await connection.execute(statement, values)


def _task_row(task: Task, now: datetime) -> dict[str, Any]:
    return {
        "number": task.number,
        "created_at": task.created_at.isoformat(),
        "status": task.status.value,
        "priority": task.priority.value,
        "agent": task.lease.worker if task.lease else None,
        "attempt": task.attempt,
        "fingerprint": task.fingerprint,
        "withdrawn": task.withdrawn,
        "required": list(task.required),
        "pull_number": task.pull.number if task.pull else None,
        "head_sha": task.pull.head_sha if task.pull else None,
        "queued": place_in_queue(task),
        "updated_at": now.isoformat(),
        "state": task_to_json(task),
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
