"""Append to the audit log under the lock of the repository's row, read it, and verify its hash chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.codec import task_from_json
from adapters.database.pending_writes import PendingWrites
from core.audit.chain import INITIAL_HASH, BrokenAuditLogError, canonical_task, chain_hash, replay
from core.audit.events import Event, EventType

BATCH_SIZE = 2_000  # lines that are read together when all are

_e = t.events.c
_COLUMNS = (_e.type, _e.task, _e.occurred_at, _e.agent, _e.attempt, _e.actor, _e.payload, _e.changes)
_LAST = select(_e.seq, _e.hash).where(_e.repository_id == bindparam("repository")).order_by(_e.seq.desc()).limit(1)


async def load_chain_end(connection: AsyncConnection, repository_id: int) -> tuple[int, str]:
    """Seq and hash of the last line."""
    row = (await connection.execute(_LAST, {"repository": repository_id})).first()
    return (row.seq, row.hash) if row else (0, INITIAL_HASH)


async def append(connection: AsyncConnection, repository_id: int, events: Sequence[Event]) -> None:
    """Append lines; the caller has the repository's row locked, so that there is one end to append to."""
    if not events:
        return
    writes = PendingWrites(repository_id, events[-1].occurred_at)
    writes.append_events(events, await load_chain_end(connection, repository_id))
    await writes.flush(connection)


async def latest_events(
    connection: AsyncConnection, repository_id: int, number: int, limit: int, types: Sequence[EventType] = ()
) -> list[Event]:
    """The end of a task's trail, oldest first; only lines of these `types`, if any are named."""
    query = (
        select(*_COLUMNS)
        .where(_e.repository_id == repository_id, _e.task == number)
        .order_by(_e.id.desc())
        .limit(limit)
    )
    if types:
        query = query.where(_e.type.in_([type_.value for type_ in types]))
    rows = (await connection.execute(query)).all()
    return [_event_from_row(row) for row in reversed(rows)]


async def events_since(
    connection: AsyncConnection, repository_id: int, numbers: Collection[int], start: datetime
) -> dict[int, list[Event]]:
    """The trails of these tasks from a moment on, oldest first."""
    query = (
        select(*_COLUMNS)
        .where(_e.repository_id == repository_id, _e.task.in_(numbers), _e.occurred_at >= start)
        .order_by(_e.id)
    )
    events_by_task: dict[int, list[Event]] = {}
    for row in await connection.execute(query):
        events_by_task.setdefault(row.task, []).append(_event_from_row(row))
    return events_by_task


def _event_from_row(row: Any) -> Event:
    return Event(EventType(row.type), *row[1:8])


@dataclass(frozen=True, slots=True)
class AuditResult:
    """How the trail of one repository was found: how many lines and tasks, and what is wrong (nothing: all is well)."""

    events: int
    tasks: int
    problems: tuple[str, ...] = ()


async def verify(connection: AsyncConnection, repository_id: int) -> AuditResult:
    """Check the chain from its first line, and that replaying it gives every task as it is stored.

    On a connection that sees one state of the database throughout. A broken chain ends the check: nothing behind the
    break can be trusted.
    """
    previous_hash, expected_seq, event_count = INITIAL_HASH, 1, 0
    replayed: dict[int, dict[str, Any]] = {}
    problems: list[str] = []
    async for seq, hash_, event in _read_all(connection, repository_id):
        if seq != expected_seq:
            return AuditResult(
                event_count, len(replayed), (*problems, f"line {expected_seq} is missing: {seq} follows")
            )
        previous_hash = chain_hash(previous_hash, repository_id, event)
        if previous_hash != hash_:
            problem = (
                f"line {seq} ({event.type} of #{event.task}) was changed, or a line before it was removed or inserted"
            )
            return AuditResult(event_count, len(replayed), (*problems, problem))
        try:
            replayed[event.task] = replay(replayed.get(event.task, {}), event)
        except BrokenAuditLogError as error:
            problems.append(f"line {seq}: {error}")
        expected_seq, event_count = expected_seq + 1, event_count + 1
    rows = await connection.stream(
        select(t.tasks.c.number, t.tasks.c.state).where(t.tasks.c.repository_id == repository_id)
    )
    task_count = 0
    async for number, state in rows:
        task_count += 1
        actual, expected_task = canonical_task(task_from_json(state)), replayed.get(number, {})
        problems += [
            f"#{number}: `{name}` is {actual.get(name)!r}, but the audit log says {expected_task.get(name)!r}"
            for name in sorted({*actual, *expected_task})
            if actual.get(name) != expected_task.get(name)
        ]
    return AuditResult(event_count, task_count, tuple(problems))


async def _read_all(connection: AsyncConnection, repository_id: int) -> AsyncIterator[tuple[int, str, Event]]:
    last_seq = 0
    while True:
        query = (
            select(*_COLUMNS, _e.seq, _e.hash)
            .where(_e.repository_id == repository_id, _e.seq > last_seq)
            .order_by(_e.seq)
            .limit(BATCH_SIZE)
        )
        rows = (await connection.execute(query)).all()
        for row in rows:
            yield row.seq, row.hash, _event_from_row(row)
        if len(rows) < BATCH_SIZE:
            return
        last_seq = rows[-1].seq
