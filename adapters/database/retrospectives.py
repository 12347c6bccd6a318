"""The table of retrospectives, and the part of the audit trail that they look at."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.task_state import task_field
from core.audit.events import ASSIGNMENTS, Event, EventType
from core.retro.model import Retrospective
from core.task.model import Status

_STATE = TypeAdapter(Retrospective)
_e = t.events.c
_r = t.retrospectives.c
_COMPLETED = _e.type == EventType.TASK_COMPLETED.value
# What figures are made of; a task's other lines are not read.
_RELEVANT_TYPES = [
    type_.value
    for type_ in (
        *ASSIGNMENTS,
        EventType.TASK_CREATED,
        EventType.TASK_REOPENED,
        EventType.TASK_READY,
        EventType.TASK_REVIEW,
        EventType.TASK_SENT_BACK,
        EventType.TASK_COMPLETED,
        EventType.AGENT_FAILED,
        EventType.CONFLICT_DETECTED,
        EventType.ESCALATED,
    )
]


async def save(connection: AsyncConnection, repository_id: int, retrospective: Retrospective) -> None:
    """Write it. All tasks that are done when it is first written count as looked at, by the trail's end then."""
    values = {"number": retrospective.number, "state": _STATE.dump_python(retrospective, mode="json")}
    last_event = select(func.coalesce(func.max(_e.id), 0)).where(_e.repository_id == repository_id, _COMPLETED)
    statement = insert(t.retrospectives).values(
        repository_id=repository_id,
        key=retrospective.key,
        created_at=retrospective.created_at,
        last_event_id=last_event.scalar_subquery(),
        **values,
    )
    await connection.execute(statement.on_conflict_do_update(index_elements=["repository_id", "key"], set_=values))


async def find_by_key(connection: AsyncConnection, repository_id: int, key: str) -> Retrospective | None:
    """The one of this key."""
    return await _load(connection, _state_query(repository_id).where(_r.key == key))


async def find_by_number(connection: AsyncConnection, repository_id: int, number: int) -> Retrospective | None:
    """The one whose issue this is."""
    return await _load(
        connection, _state_query(repository_id).where(_r.number == number).order_by(_r.last_event_id.desc())
    )


async def find_latest(connection: AsyncConnection, repository_id: int) -> Retrospective | None:
    """The last that was held."""
    return await _load(connection, _state_query(repository_id).order_by(_r.last_event_id.desc(), _r.created_at.desc()))


async def last_event_id(connection: AsyncConnection, repository_id: int, since: datetime | None = None) -> int:
    """The place in the trail up to which tasks were looked at already; with `since`, where the trail was then."""
    if since is None:
        query = select(func.max(_r.last_event_id)).where(_r.repository_id == repository_id)
    else:
        query = select(func.max(_e.id)).where(_e.repository_id == repository_id, _COMPLETED, _e.occurred_at <= since)
    return (await connection.execute(query)).scalar_one() or 0


async def completed_after(connection: AsyncConnection, repository_id: int, event_id: int) -> list[int]:
    """The tasks that were done behind this place of the trail and still are, in the order in which they were done."""
    query = (
        select(_e.task)
        .join(t.tasks, (t.tasks.c.repository_id == _e.repository_id) & (t.tasks.c.number == _e.task))
        .where(_e.repository_id == repository_id, _COMPLETED, _e.id > event_id, t.tasks.c.status == Status.DONE.value)
        .group_by(_e.task)
        .order_by(func.max(_e.id))
    )
    return list((await connection.execute(query)).scalars())


async def events_by_task(
    connection: AsyncConnection, repository_id: int, tasks: Collection[int], event_id: int
) -> dict[int, tuple[Event, ...]]:
    """The trails of these tasks, each cut behind the last time that it was done up to this place."""
    conditions = (_e.repository_id == repository_id, _e.task.in_(tasks))
    last_completions = (
        select(_e.task, func.max(_e.id).label("at")).where(*conditions, _COMPLETED, _e.id <= event_id).group_by(_e.task)
    )
    completions = last_completions.subquery()
    query = (
        select(_e.type, _e.task, _e.occurred_at, _e.agent, _e.attempt, _e.actor, _e.payload)
        .join_from(t.events, completions, completions.c.task == _e.task, isouter=True)
        .where(*conditions, _e.type.in_(_RELEVANT_TYPES), _e.id > func.coalesce(completions.c.at, 0))
        .order_by(_e.id)
    )
    by_task: dict[int, list[Event]] = {number: [] for number in tasks}
    for type_, *fields in await connection.execute(query):
        event = Event(EventType(type_), *fields)
        by_task[event.task].append(event)
    return {number: tuple(events) for number, events in by_task.items()}


async def task_titles(connection: AsyncConnection, repository_id: int, tasks: Collection[int]) -> dict[int, str]:
    """What these tasks are called now."""
    query = select(t.tasks.c.number, task_field("title").astext).where(
        t.tasks.c.repository_id == repository_id, t.tasks.c.number.in_(tasks)
    )
    return dict((await connection.execute(query)).all())


def _state_query(repository_id: int) -> Select[tuple[object]]:
    return select(_r.state).where(_r.repository_id == repository_id).limit(1)


async def _load(connection: AsyncConnection, query: Select[tuple[object]]) -> Retrospective | None:
    state = (await connection.execute(query)).scalar_one_or_none()
    return None if state is None else _STATE.validate_python(state)
