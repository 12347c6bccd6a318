"""The audit trail in the database: appended to by whoever has the repository's row locked, read by anybody."""

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
from core.audit.chain import FIRST, BrokenTrailError, link, replay, shape
from core.audit.events import Event, EventType

BATCH = 2_000  # lines that are read together when all are

e = t.events.c
_LINE = (e.type, e.task, e.occurred_at, e.agent, e.attempt, e.actor, e.payload, e.changes)
_END = select(e.place, e.hash).where(e.repository_id == bindparam("repository")).order_by(e.place.desc()).limit(1)


async def end(connection: AsyncConnection, repository_id: int) -> tuple[int, str]:
    """Place and hash of the last line."""
    row = (await connection.execute(_END, {"repository": repository_id})).first()
    return (row.place, row.hash) if row else (0, FIRST)


async def append(connection: AsyncConnection, repository_id: int, events: Sequence[Event]) -> None:
    """Append lines; the caller has the repository's row locked, so that there is one end to append to."""
    if not events:
        return
    writes = PendingWrites(repository_id, events[-1].occurred_at)
    writes.append_events(events, await end(connection, repository_id))
    await writes.flush(connection)


async def last(
    connection: AsyncConnection, repository_id: int, number: int, limit: int, types: Sequence[EventType] = ()
) -> list[Event]:
    """The end of a task's trail, oldest first; only lines of these `types`, if any are named."""
    query = select(*_LINE).where(e.repository_id == repository_id, e.task == number).order_by(e.id.desc()).limit(limit)
    if types:
        query = query.where(e.type.in_([type_.value for type_ in types]))
    rows = (await connection.execute(query)).all()
    return [_event(row) for row in reversed(rows)]


async def since(
    connection: AsyncConnection, repository_id: int, numbers: Collection[int], moment: datetime
) -> dict[int, list[Event]]:
    """The trails of these tasks from a moment on, oldest first."""
    query = (
        select(*_LINE)
        .where(e.repository_id == repository_id, e.task.in_(numbers), e.occurred_at >= moment)
        .order_by(e.id)
    )
    found: dict[int, list[Event]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.task, []).append(_event(row))
    return found


def _event(row: Any) -> Event:
    return Event(EventType(row.type), *row[1:8])


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the trail of one repository was found: how many lines and tasks, and what is wrong (nothing: all is well)."""

    events: int
    tasks: int
    problems: tuple[str, ...] = ()


async def verify(connection: AsyncConnection, repository_id: int) -> Verdict:
    """Check the chain from its first line, and that replaying it gives every task as it is stored.

    On a connection that sees one state of the database throughout. A broken chain ends the check: nothing behind the
    break can be trusted.
    """
    previous, expected, count = FIRST, 1, 0
    shapes: dict[int, dict[str, Any]] = {}
    problems: list[str] = []
    async for place, hash_, event in _all(connection, repository_id):
        if place != expected:
            return Verdict(count, len(shapes), (*problems, f"line {expected} is missing: {place} follows"))
        previous = link(previous, repository_id, event)
        if previous != hash_:
            said = (
                f"line {place} ({event.type} of #{event.task}) was changed, or a line before it was removed or inserted"
            )
            return Verdict(count, len(shapes), (*problems, said))
        try:
            shapes[event.task] = replay(shapes.get(event.task, {}), event)
        except BrokenTrailError as error:
            problems.append(f"line {place}: {error}")
        expected, count = expected + 1, count + 1
    stored = await connection.stream(
        select(t.tasks.c.number, t.tasks.c.state).where(t.tasks.c.repository_id == repository_id)
    )
    tasks = 0
    async for number, state in stored:
        tasks += 1
        now, told = shape(task_from_json(state)), shapes.get(number, {})
        problems += [
            f"#{number}: `{name}` is {now.get(name)!r}, but the audit log says {told.get(name)!r}"
            for name in sorted({*now, *told})
            if now.get(name) != told.get(name)
        ]
    return Verdict(count, tasks, tuple(problems))


async def _all(connection: AsyncConnection, repository_id: int) -> AsyncIterator[tuple[int, str, Event]]:
    after = 0
    while True:
        query = (
            select(*_LINE, e.place, e.hash)
            .where(e.repository_id == repository_id, e.place > after)
            .order_by(e.place)
            .limit(BATCH)
        )
        rows = (await connection.execute(query)).all()
        for row in rows:
            yield row.place, row.hash, _event(row)
        if len(rows) < BATCH:
            return
        after = rows[-1].place
