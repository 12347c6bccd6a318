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
from adapters.database.write_statements import ATTEMPT_COLUMNS, FIRST_VALUE_COLUMNS, statement_for
from core.assignment.queue import place_in_queue
from core.assignment.stats import AttemptRecord
from core.audit.chain import chain_hash
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
    sending_number: int | None = None
    _tasks: dict[int, Task] = field(default_factory=dict)
    _attempts: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    _replaced_deadlines: dict[str, tuple[Deadline, ...]] = field(default_factory=dict)
    _deadlines: dict[tuple[int, str, str], dict[str, Any]] = field(default_factory=dict)
    _effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    _events: list[dict[str, Any]] = field(default_factory=list)

    def save_task(self, task: Task) -> None:
        """The task is as given."""
        self._tasks[task.number] = task

    def save_attempts(self, rows: Iterable[AttemptRecord]) -> None:
        """Add what is known of attempts to what the table has of them."""
        for row in rows:
            new = {name: getattr(row, name) for name in ATTEMPT_COLUMNS}
            new |= {"role": row.role.value, "capabilities": list(row.capabilities)}
            if (existing := self._attempts.get((row.task, row.attempt))) is not None:
                new |= {name: existing[name] for name in FIRST_VALUE_COLUMNS if existing[name] is not None}
                new["longest_silence"] = max(existing["longest_silence"], new["longest_silence"])
                new["started_at"], new["agent"] = existing["started_at"], existing["agent"]
            self._attempts[row.task, row.attempt] = new

    def replace_deadlines(self, subject: str, deadlines: Sequence[Deadline]) -> None:
        """The deadlines of a subject are exactly these. One that is over already becomes due now, not long ago.

        A row that is late would tell `scheduler.downtime` that no replica swept.
        """
        self._replaced_deadlines[subject] = tuple(deadlines)

    def set_deadline(self, repository_id: int, subject: str, kind: str, due_at: datetime, attempt: int = 0) -> None:
        """One wait; a later call for the same subject and kind moves it."""
        self._deadlines[repository_id, subject, kind] = {
            "repository_id": repository_id,
            "subject": subject,
            "kind": kind,
            "due_at": due_at.isoformat(),
            "attempt": attempt,
        }

    def save_effect(self, number: int, effect: Effect, delay: timedelta = timedelta()) -> None:
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
            "not_before": (self.now + delay).isoformat() if delay else None,
            "state": effect.state,
            "urgent": effect.lane.is_urgent,
        }
        existing = self._effects.get(effect.key)
        if existing is not None:
            if not effect.state:
                return
            new |= {"place": existing["place"], "number": existing["number"]}
            if existing["not_before"] is None or new["not_before"] is None:
                new["not_before"] = None
            else:
                new["not_before"] = min(existing["not_before"], new["not_before"])
        self._effects[effect.key] = new

    def append_events(self, events: Iterable[Event], chain_end: tuple[int, str]) -> tuple[int, str]:
        """Append lines to the audit log after `end` (place and hash of the last line); gives the new end."""
        seq, previous_hash = chain_end
        for event in events:
            seq, previous_hash = seq + 1, chain_hash(previous_hash, self.repository_id, event)
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
                    "place": seq,
                    "hash": previous_hash,
                }
            )
        return seq, previous_hash

    async def flush(self, connection: AsyncConnection) -> None:
        """Write all that waits, in one statement; nothing where nothing waits."""
        rows: dict[str, list[dict[str, Any]]] = {
            "tasks": [_task_row(task, self.now) for task in self._tasks.values()],
            "attempts": [_json_row(row) for row in self._attempts.values()],
            "subjects": [
                {"subject": subject, "kinds": [item.kind.value for item in deadlines]}
                for subject, deadlines in self._replaced_deadlines.items()
            ],
            "waits": list(self._deadlines.values()),
            "events": self._events,
            "effects": list(self._effects.values()),
        }
        parts = tuple(name for name, part_rows in rows.items() if part_rows)
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
                for subject, deadlines in self._replaced_deadlines.items()
                for deadline in deadlines
            ]
        statement = statement_for(parts)
        parameters = {"repository": self.repository_id, "now": self.now, "sending": self.sending_number}
        values |= {name: value for name, value in parameters.items() if name in statement._bindparams}
        for pending in (self._tasks, self._attempts, self._replaced_deadlines, self._deadlines, self._effects):
            pending.clear()
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


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
