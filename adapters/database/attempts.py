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
from core.assignment.stats import (
    MAX_ATTEMPTS,
    WINDOW,
    AttemptRecord,
    AttemptStats,
    compute_stats,
    group_by_agent,
    stats_by_capability,
)
from core.task.model import Role

# The index `attempts_of_agent` gives each agent's latest without reading the older ones' rows.
_RANK = (
    func.row_number()
    .over(
        partition_by=(t.attempts.c.repository_id, t.attempts.c.agent),
        order_by=(t.attempts.c.started_at.desc(), t.attempts.c.task.desc()),
    )
    .label("place")
)
MAX_DURATIONS = 200  # of all its agents together: enough for a 90th percentile, few enough to be of now


async def save(connection: AsyncConnection, repository_id: int, rows: Sequence[AttemptRecord]) -> None:
    """Add what was told of attempts to what the table has of them."""
    if not rows:
        return
    writes = PendingWrites(repository_id, rows[-1].started_at)
    writes.save_attempts(rows)
    await writes.flush(connection)


async def list_recent(
    connection: AsyncConnection, repository_id: int, now: datetime, agent: str | None = None
) -> list[AttemptRecord]:
    """The attempts that count now, of all agents of a repository or of one, the latest first."""
    query = _recent_query(now).where(t.attempts.c.repository_id == repository_id)
    if agent is not None:
        query = query.where(t.attempts.c.agent == agent)
    return [row for _, row in await _load(connection, query)]


async def agent_stats(connection: AsyncConnection, repository_id: int, now: datetime) -> dict[str, AttemptStats]:
    """The figures of each agent that was at work lately, by its name."""
    rows = group_by_agent(await list_recent(connection, repository_id, now))
    return {name: compute_stats(records) for name, records in rows.items()}


async def team_stats(
    connection: AsyncConnection, repository_id: int, now: datetime
) -> dict[str, dict[str, AttemptStats]]:
    """The figures of each agent that was at work lately: under `""` of all, and for each capability asked for."""
    rows = group_by_agent(await list_recent(connection, repository_id, now))
    return {name: {"": compute_stats(records), **stats_by_capability(records)} for name, records in rows.items()}


async def all_stats(connection: AsyncConnection, now: datetime) -> dict[tuple[int, str], AttemptStats]:
    """The figures of all agents of all repositories, by the repository's id and the agent's name."""
    records_by_agent: dict[tuple[int, str], list[AttemptRecord]] = {}
    for repository_id, row in await _load(connection, _recent_query(now)):
        records_by_agent.setdefault((repository_id, row.agent), []).append(row)
    return {key: compute_stats(rows) for key, rows in records_by_agent.items()}


async def durations(connection: AsyncConnection, repository_id: int, now: datetime) -> list[float]:
    """How long the latest attempts of a repository took from hand-over to pull request, in seconds."""
    a = t.attempts.c
    latest = (
        select(func.extract("epoch", a.pull_opened_at - a.started_at))
        .where(a.repository_id == repository_id, a.role == Role.IMPLEMENT.value, a.pull_opened_at.is_not(None))
        .where(a.started_at >= now - WINDOW)
        .order_by(a.started_at.desc(), a.task.desc(), a.attempt.desc())
        .limit(MAX_DURATIONS)
    )
    return [float(seconds) for seconds in (await connection.execute(latest)).scalars()]


async def prune(connection: AsyncConnection, now: datetime) -> int:
    """Drop the attempts that no longer count for any figure, and never will; gives how many went.

    What a task tells of its attempts, to people and in its hand-off, is part of the task itself.
    """
    a = t.attempts.c
    ranked = select(a.repository_id, a.task, a.attempt, a.started_at, _RANK).subquery()
    is_outdated = or_(ranked.c.started_at < now - WINDOW, ranked.c.place > MAX_ATTEMPTS)
    result = await connection.execute(
        delete(t.attempts).where(
            tuple_(a.repository_id, a.task, a.attempt).in_(
                select(ranked.c.repository_id, ranked.c.task, ranked.c.attempt).where(is_outdated)
            )
        )
    )
    return result.rowcount


def _recent_query(now: datetime) -> Select[Any]:
    return select(t.attempts, _RANK).where(t.attempts.c.started_at >= now - WINDOW)


async def _load(connection: AsyncConnection, query: Select[Any]) -> list[tuple[int, AttemptRecord]]:
    latest = query.subquery()
    rows = await connection.execute(select(latest).where(latest.c.place <= MAX_ATTEMPTS).order_by(latest.c.place))
    return [_record_from_row(row) for row in rows]


def _record_from_row(row: DatabaseRow[Any]) -> tuple[int, AttemptRecord]:
    values = dict(row._mapping)
    del values["place"]
    repository_id: int = values.pop("repository_id")
    return repository_id, AttemptRecord(
        **{**values, "role": Role(values["role"]), "capabilities": tuple(values["capabilities"])}
    )
