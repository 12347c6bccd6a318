"""Collects what a transaction writes, and writes all of it in one statement.

A decision changes a task, its deadlines, its attempts, the outbox, the audit log and the job queue. Each key is written
at most once in a statement, because PostgreSQL refuses to change a row twice: what is set again meanwhile replaces, or
is merged with, what waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.codec import effect_to_json, task_to_json
from adapters.database.jobs import GIT, EffectGroup
from adapters.database.write_statements import ATTEMPT_COLUMNS, FIRST_VALUE_COLUMNS, statement_for
from core.assignment.queue import queue_state
from core.assignment.stats import AttemptRecord
from core.audit.chain import chain_hash
from core.audit.events import Event
from core.effects.base import CompareBranches, Effect, Notify, RefreshMirror, RequestTrialMerge
from core.task.deadlines import Deadline, DeadlineTarget
from core.task.model import Task

EMPTY: Mapping[str, Any] = MappingProxyType({})
MIRROR_EFFECTS = (RequestTrialMerge, CompareBranches, RefreshMirror)  # work on the local mirror, which may take minutes


@dataclass(slots=True)
class PendingWrites:
    """What waits to be written of one repository. `now` is the aware time of the transaction."""

    repository_id: int
    now: datetime
    # Whose effects the running job is sending: it looks again afterwards and needs no other job.
    sending: EffectGroup | None = None
    _tasks: dict[int, Task] = field(default_factory=dict)
    _attempts: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    _targets: dict[DeadlineTarget, tuple[Deadline, ...]] = field(default_factory=dict)
    _deadlines: dict[tuple[int, DeadlineTarget, str], dict[str, Any]] = field(default_factory=dict)
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
                longest = max(existing["longest_silence_seconds"], new["longest_silence_seconds"])
                new["longest_silence_seconds"] = longest
                new["started_at"], new["agent"] = existing["started_at"], existing["agent"]
            self._attempts[row.task, row.attempt] = new

    def replace_deadlines(self, target: DeadlineTarget, deadlines: Sequence[Deadline]) -> None:
        """The deadlines of a target are exactly these. One that is over already becomes due now, not long ago.

        A row that is late would tell `scheduler.downtime` that no replica swept.
        """
        self._targets[target] = tuple(deadlines)

    def set_deadline(
        self,
        repository_id: int,
        target: DeadlineTarget,
        kind: str,
        due_at: datetime,
        attempt: int = 0,
        payload: Mapping[str, Any] = EMPTY,
    ) -> None:
        """One wait; a later call for the same target and kind moves it."""
        self._deadlines[repository_id, target, kind] = {
            "repository_id": repository_id,
            "target_kind": target.kind,
            "target_id": target.id,
            "kind": kind,
            "due_at": due_at.isoformat(),
            "attempt": attempt,
            "payload": dict(payload),
        }

    def save_effect(self, number: int, effect: Effect, delay: timedelta = timedelta()) -> None:
        """Put an effect into the outbox under the number of its task, and ask for the job that sends it.

        A state effect replaces an earlier one with the same key, and may `wait` for others that replace it; a once
        effect stays what it was. A message is stored under its channel, so that no channel waits for a task or
        another channel; so is work on the mirror.
        """
        channel = effect.channel if isinstance(effect, Notify) else GIT if isinstance(effect, MIRROR_EFFECTS) else None
        new = {
            "place": len(self._effects),
            "issue_number": number if channel is None else None,
            "channel": channel,
            "key": effect.key,
            "kind": type(effect).__name__,
            "payload": effect_to_json(effect),
            "not_before": (self.now + delay).isoformat() if delay else None,
            "state": effect.is_state,
            "urgent": effect.priority.is_urgent,
        }
        existing = self._effects.get(effect.key)
        if existing is not None:
            if not effect.is_state:
                return
            new |= {"place": existing["place"], "issue_number": existing["issue_number"]}
            if existing["not_before"] is None or new["not_before"] is None:
                new["not_before"] = None
            else:
                new["not_before"] = min(existing["not_before"], new["not_before"])
        self._effects[effect.key] = new

    def append_events(self, events: Iterable[Event], chain_end: tuple[int, str]) -> tuple[int, str]:
        """Append lines to the audit log after `end` (seq and hash of the last line); gives the new end."""
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
                    "seq": seq,
                    "hash": previous_hash,
                }
            )
        return seq, previous_hash

    async def flush(self, connection: AsyncConnection) -> None:
        """Write all that waits, in one statement; nothing where nothing waits."""
        rows: dict[str, list[dict[str, Any]]] = {
            "tasks": [_task_row(task, self.now) for task in self._tasks.values()],
            "attempts": [_json_row(row) for row in self._attempts.values()],
            "targets": [
                {"target_kind": target.kind, "target_id": target.id, "kinds": [item.kind.value for item in deadlines]}
                for target, deadlines in self._targets.items()
            ],
            "waits": list(self._deadlines.values()),
            "events": self._events,
            "effects": list(self._effects.values()),
        }
        parts = tuple(name for name, part_rows in rows.items() if part_rows)
        if not parts:
            return
        values: dict[str, Any] = {name: rows[name] for name in parts}
        if "targets" in parts:
            values["replaced"] = [
                {
                    "target_kind": target.kind,
                    "target_id": target.id,
                    "kind": deadline.kind.value,
                    "due_at": max(deadline.due_at, self.now).isoformat(),
                    "attempt": deadline.attempt,
                }
                for target, deadlines in self._targets.items()
                for deadline in deadlines
            ]
        statement = statement_for(parts)
        issue, channel = self.sending or (None, None)
        parameters = {
            "repository": self.repository_id,
            "now": self.now,
            "sending_issue": issue,
            "sending_channel": channel,
        }
        values |= {name: value for name, value in parameters.items() if name in statement._bindparams}
        for pending in (self._tasks, self._attempts, self._targets, self._deadlines, self._effects):
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
        "untracked": task.untracked,
        "required_capabilities": list(task.required_capabilities),
        "pull_number": task.pull.number if task.pull else None,
        "head_sha": task.pull.head_sha if task.pull else None,
        "queue_state": queue_state(task),
        "updated_at": now.isoformat(),
        "state": task_to_json(task),
    }


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
