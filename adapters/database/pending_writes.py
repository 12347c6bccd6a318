"""Collects what a transaction writes, and writes all of it in one statement.

A decision changes a task, its deadlines, its attempts, the outbox, the audit log and the job queue. Each of these has
a common table expression here that takes its rows as JSON; `flush` joins those that have rows. Each key is written at
most once in a statement, because PostgreSQL refuses to change a row twice: what is set again meanwhile replaces, or is
merged with, what waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.codec import effect_to_json, task_to_json
from adapters.database.queue import ALERTS, CHANNEL, DEFER, MAIN, PRIORITIES, SEND, URGENT, URGENT_SEND, WAKE
from core.audit import link
from core.deadlines import Deadline
from core.effects import Effect, Notify
from core.events import Event
from core.measures import Row
from core.queue import place_in_queue
from core.task import Task

_TASK_COLUMNS: Final = (
    *("status", "priority", "agent", "attempt", "fingerprint", "withdrawn", "required"),
    *("pull_number", "head_sha", "queued", "updated_at", "state"),
)
_TASKS: Final = f"""
new_tasks AS (
    SELECT * FROM jsonb_to_recordset(:tasks) AS r(
        number integer, created_at timestamptz, status text, priority text, agent text, attempt integer,
        fingerprint text, withdrawn boolean, required jsonb, pull_number integer, head_sha text, queued boolean,
        updated_at timestamptz, state jsonb
    )
),
saved_tasks AS (
    INSERT INTO tasks (repository_id, number, created_at, {", ".join(_TASK_COLUMNS)})
    SELECT :repository, number, created_at, {", ".join(_TASK_COLUMNS)} FROM new_tasks
    ON CONFLICT (repository_id, number) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _TASK_COLUMNS)}
),
linked_pulls AS (
    INSERT INTO pulls (repository_id, number, task)
    SELECT :repository, pull_number, number FROM new_tasks WHERE pull_number IS NOT NULL
    ON CONFLICT DO NOTHING
)
"""  # noqa: S608 - of constants alone

# Of each of these the first that was reported stays.
_FIRST: Final = ("acknowledged_at", "handed_in_at", "first_checks", "ended_at", "outcome")
_ATTEMPT_COLUMNS: Final = (
    *("task", "attempt", "agent", "role", "capabilities", "started_at", "acknowledged_at", "handed_in_at"),
    *("ended_at", "outcome", "blamed", "first_checks", "longest_silence"),
)
_ATTEMPTS: Final = f"""
saved_attempts AS (
    INSERT INTO attempts (repository_id, {", ".join(_ATTEMPT_COLUMNS)})
    SELECT :repository, {", ".join(_ATTEMPT_COLUMNS)} FROM jsonb_to_recordset(:attempts) AS r(
        task integer, attempt integer, agent text, role text, capabilities jsonb, started_at timestamptz,
        acknowledged_at timestamptz, handed_in_at timestamptz, ended_at timestamptz, outcome text, blamed boolean,
        first_checks boolean, longest_silence double precision
    )
    ON CONFLICT (repository_id, task, attempt) DO UPDATE SET
        {", ".join(f"{name} = coalesce(attempts.{name}, excluded.{name})" for name in _FIRST)},
        blamed = excluded.blamed,
        longest_silence = greatest(attempts.longest_silence, excluded.longest_silence)
)
"""  # noqa: S608 - of constants alone

# The deadlines of a subject are exactly these. What was put off stays put off (`scheduler.absence`): by the state of
# the task it was over long ago.
_REPLACED: Final = """
removed_deadlines AS (
    DELETE FROM deadlines USING jsonb_to_recordset(:subjects) AS r(subject text, kinds jsonb)
    WHERE deadlines.repository_id = :repository AND deadlines.subject = r.subject AND NOT r.kinds ? deadlines.kind
),
replaced_deadlines AS (
    INSERT INTO deadlines (repository_id, subject, kind, due_at, attempt)
    SELECT :repository, subject, kind, due_at, attempt
    FROM jsonb_to_recordset(:replaced) AS r(subject text, kind text, due_at timestamptz, attempt integer)
    ON CONFLICT (repository_id, subject, kind) DO UPDATE SET
        due_at = CASE WHEN excluded.due_at <= :now AND deadlines.attempt = excluded.attempt
            THEN greatest(deadlines.due_at, excluded.due_at) ELSE excluded.due_at END,
        attempt = excluded.attempt
    WHERE (deadlines.due_at, deadlines.attempt) IS DISTINCT FROM (excluded.due_at, excluded.attempt)
)
"""
_SET: Final = """
set_deadlines AS (
    INSERT INTO deadlines (repository_id, subject, kind, due_at, attempt)
    SELECT repository_id, subject, kind, due_at, attempt FROM jsonb_to_recordset(:waits) AS r(
        repository_id bigint, subject text, kind text, due_at timestamptz, attempt integer
    )
    ON CONFLICT (repository_id, subject, kind) DO UPDATE SET due_at = excluded.due_at, attempt = excluded.attempt
)
"""

# A state effect replaces the one that waits; a once effect stays what it was. A row keeps its number: whoever asks, one
# job sends it, behind one lock.
_EFFECTS: Final = f"""
new_effects AS (
    SELECT * FROM jsonb_to_recordset(:effects) AS r(
        place integer, number integer, key text, kind text, payload jsonb, not_before timestamptz, state boolean,
        urgent boolean
    )
),
once_effects AS (
    INSERT INTO outbox (repository_id, number, key, kind, payload, created_at, not_before)
    SELECT :repository, number, key, kind, payload, :now, not_before FROM new_effects WHERE NOT state ORDER BY place
    ON CONFLICT (repository_id, key) DO NOTHING
    RETURNING id, number, key, not_before
),
state_effects AS (
    INSERT INTO outbox (repository_id, number, key, kind, payload, created_at, not_before)
    SELECT :repository, number, key, kind, payload, :now, not_before FROM new_effects WHERE state ORDER BY place
    ON CONFLICT (repository_id, key) DO UPDATE SET
        payload = excluded.payload,
        version = outbox.version + 1,
        state = 'waiting',
        -- A send whose fate is unknown makes the next one look first, whatever it is to write.
        tries = CASE WHEN outbox.state = 'done' THEN 0 ELSE least(outbox.tries, 1) END,
        -- What waits already goes when it would have gone, and earlier if the new one may wait less. While one is being
        -- sent, the new one waits its own time.
        not_before = CASE
            WHEN excluded.not_before IS NULL THEN NULL
            WHEN outbox.state = 'waiting' AND outbox.not_before > :now
                THEN least(outbox.not_before, excluded.not_before)
            WHEN outbox.state = 'waiting' AND outbox.tries = 0 THEN outbox.not_before
            ELSE excluded.not_before
        END,
        error = NULL,
        created_at = CASE WHEN outbox.state = 'waiting' THEN outbox.created_at ELSE excluded.created_at END,
        done_at = NULL
    RETURNING id, number, key, not_before
),
saved_effects AS (
    SELECT saved.id, saved.number, saved.not_before, new_effects.urgent
    FROM (SELECT * FROM once_effects UNION ALL SELECT * FROM state_effects) AS saved JOIN new_effects USING (key)
),
effect_deadlines AS (
    INSERT INTO deadlines (repository_id, subject, kind, due_at, attempt)
    SELECT :repository, 'outbox:' || id, CASE WHEN urgent THEN '{URGENT_SEND}' ELSE '{SEND}' END, not_before, number
    FROM saved_effects WHERE not_before IS NOT NULL
    ON CONFLICT (repository_id, subject, kind) DO UPDATE SET due_at = excluded.due_at, attempt = excluded.attempt
)
"""  # noqa: S608 - of constants alone
# A job for each number that has something to send now, but not for the one whose job is running: it looks again. A
# negative number is a channel's (`Notify.place`).
_SENDS: Final = f"""
wanted AS (
    SELECT number AS place, CASE WHEN number < 0 THEN '{ALERTS}' ELSE '{MAIN}' END AS queue, '{SEND}' AS task,
        CASE WHEN urgent THEN {URGENT} ELSE {PRIORITIES[SEND]} END AS priority,
        CASE WHEN number < 0 THEN '{CHANNEL}' || -number ELSE 'send:' || :repository || ':' || number END AS lock,
        jsonb_build_object('repository_id', :repository, 'number', number) AS args
    FROM (
        SELECT number, bool_or(urgent) AS urgent FROM saved_effects
        WHERE (not_before IS NULL OR not_before <= :now) AND number IS DISTINCT FROM :sending
        GROUP BY number
    ) AS numbers
)
"""  # noqa: S608 - of constants alone

_EVENTS: Final = """
new_events AS (
    INSERT INTO events (
        repository_id, type, task, agent, attempt, actor, payload, changes, occurred_at, place, hash
    )
    SELECT :repository, type, task, agent, attempt, actor, payload, changes, occurred_at, place, hash
    FROM jsonb_to_recordset(:events) AS r(
        type text, task integer, agent text, attempt integer, actor text, payload jsonb, changes jsonb,
        occurred_at timestamptz, place bigint, hash text
    )
    ORDER BY place
)
"""

_PARTS: Final = {
    "tasks": (_TASKS,),
    "attempts": (_ATTEMPTS,),
    "subjects": (_REPLACED,),
    "waits": (_SET,),
    "events": (_EVENTS,),
    "effects": (_EFFECTS, _SENDS, DEFER),
}
_JSON: Final = ("tasks", "attempts", "subjects", "replaced", "waits", "effects", "events")


@cache
def _statement(parts: tuple[str, ...]) -> TextClause:
    sql = ",".join(expression for part in parts for expression in _PARTS[part])
    statement = text(f"WITH {sql} {WAKE if 'effects' in parts else 'SELECT'}")
    types: dict[str, Any] = {name: JSONB() for name in _JSON}
    types |= {"repository": BigInteger(), "now": DateTime(timezone=True), "sending": BigInteger()}
    return statement.bindparams(
        *(bindparam(name, type_=kind) for name, kind in types.items() if name in statement._bindparams)
    )


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
            new = {name: getattr(row, name) for name in _ATTEMPT_COLUMNS}
            new |= {"role": row.role.value, "capabilities": list(row.capabilities)}
            if (old := self._attempts.get((row.task, row.attempt))) is not None:
                new |= {name: old[name] for name in _FIRST if old[name] is not None}
                new["longest_silence"] = max(old["longest_silence"], new["longest_silence"])
                new["started_at"], new["agent"] = old["started_at"], old["agent"]
            self._attempts[row.task, row.attempt] = new

    def replace_deadlines(self, subject: str, deadlines: Sequence[Deadline]) -> None:
        """The deadlines of a subject are exactly these. One that is over already becomes due now, not long ago.

        A row that is late would tell `scheduler.absence` that no replica swept.
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
        statement = _statement(parts)
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
