"""The table of attempts: written with every change of a lease, read as the measures of agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row as DatabaseRow
from sqlalchemy import Select, delete, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.pending_writes import PendingWrites
from core.assignment.stats import LATEST, WINDOW, Measures, Row, by_agent, by_capability, measure
from core.task.model import Role

# The index `attempts_of_agent` gives each agent's latest without reading the older ones' rows.
_PLACE = (
    func.row_number()
    .over(
        partition_by=(t.attempts.c.repository_id, t.attempts.c.agent),
        order_by=(t.attempts.c.started_at.desc(), t.attempts.c.task.desc()),
    )
    .label("place")
)
OF_REPOSITORY = 200  # of all its agents together: enough for a 90th percentile, few enough to be of now


async def keep(connection: AsyncConnection, repository_id: int, rows: Sequence[Row]) -> None:
    """Add what was told of attempts to what the table has of them."""
    if not rows:
        return
    writes = PendingWrites(repository_id, rows[-1].started_at)
    writes.save_attempts(rows)
    await writes.flush(connection)


async def rows_of(
    connection: AsyncConnection, repository_id: int, now: datetime, agent: str | None = None
) -> list[Row]:
    """The attempts that count now, of all agents of a repository or of one, the latest first."""
    query = _counting(now).where(t.attempts.c.repository_id == repository_id)
    if agent is not None:
        query = query.where(t.attempts.c.agent == agent)
    return [row for _, row in await _read(connection, query)]


async def of_agents(connection: AsyncConnection, repository_id: int, now: datetime) -> dict[str, Measures]:
    """The figures of each agent that was at work lately, by its name."""
    rows = by_agent(await rows_of(connection, repository_id, now))
    return {name: measure(own) for name, own in rows.items()}


async def of_team(connection: AsyncConnection, repository_id: int, now: datetime) -> dict[str, dict[str, Measures]]:
    """The figures of each agent that was at work lately: under `""` of all, and for each capability asked for."""
    rows = by_agent(await rows_of(connection, repository_id, now))
    return {name: {"": measure(own), **by_capability(own)} for name, own in rows.items()}


async def of_all(connection: AsyncConnection, now: datetime) -> dict[tuple[int, str], Measures]:
    """The figures of all agents of all repositories, by the repository's id and the agent's name."""
    found: dict[tuple[int, str], list[Row]] = {}
    for repository_id, row in await _read(connection, _counting(now)):
        found.setdefault((repository_id, row.agent), []).append(row)
    return {key: measure(rows) for key, rows in found.items()}


async def taken(connection: AsyncConnection, repository_id: int, now: datetime) -> list[float]:
    """How long the latest attempts of a repository took from hand-over to pull request, in seconds."""
    a = t.attempts.c
    latest = (
        select(func.extract("epoch", a.handed_in_at - a.started_at))
        .where(a.repository_id == repository_id, a.role == Role.IMPLEMENT.value, a.handed_in_at.is_not(None))
        .where(a.started_at >= now - WINDOW)
        .order_by(a.started_at.desc(), a.task.desc(), a.attempt.desc())
        .limit(OF_REPOSITORY)
    )
    return [float(seconds) for seconds in (await connection.execute(latest)).scalars()]


async def prune(connection: AsyncConnection, now: datetime) -> int:
    """Drop the attempts that no longer count for any figure, and never will; gives how many went.

    What a task tells of its attempts, to people and in its hand-off, is part of the task itself.
    """
    a = t.attempts.c
    ranked = select(a.repository_id, a.task, a.attempt, a.started_at, _PLACE).subquery()
    over = or_(ranked.c.started_at < now - WINDOW, ranked.c.place > LATEST)
    gone = await connection.execute(
        delete(t.attempts).where(
            tuple_(a.repository_id, a.task, a.attempt).in_(
                select(ranked.c.repository_id, ranked.c.task, ranked.c.attempt).where(over)
            )
        )
    )
    return gone.rowcount


def _counting(now: datetime) -> Select[Any]:
    return select(t.attempts, _PLACE).where(t.attempts.c.started_at >= now - WINDOW)


async def _read(connection: AsyncConnection, query: Select[Any]) -> list[tuple[int, Row]]:
    latest = query.subquery()
    rows = await connection.execute(select(latest).where(latest.c.place <= LATEST).order_by(latest.c.place))
    return [_row(found) for found in rows]


def _row(found: DatabaseRow[Any]) -> tuple[int, Row]:
    values = dict(found._mapping)
    del values["place"]
    repository_id: int = values.pop("repository_id")
    return repository_id, Row(**{**values, "role": Role(values["role"]), "capabilities": tuple(values["capabilities"])})
