"""Open pull requests, as they are compared with each other, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Text, and_, bindparam, case, cast, delete, func, null, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.codec import task_from_json
from core.conflicts.pulls import FileConflict, Flight, Pair, Trial
from core.signals.base import PullFacts
from core.task.model import ChecksState, Priority, Task

MOST = 1000  # pull requests that are compared with each other, the newest
_TRIAL = TypeAdapter(Trial)
_FILES = TypeAdapter(tuple[FileConflict, ...])

f, p = t.flights.c, t.pairs.c
_CARRIED = and_(t.tasks.c.repository_id == f.repository_id, t.tasks.c.number == f.task)
_PULL = t.tasks.c.state["pull"]
# The task looks for a verdict on this head, or has to look again because a person let something pass for a while.
_ASKS = or_(
    func.coalesce(_PULL["mergeable_sha"].as_string(), "") != f.head_sha,
    func.coalesce(t.tasks.c.state["ignored"], cast("{}", JSONB)) != cast("{}", JSONB),
)
_COLUMNS = (
    *(f.number, f.task, f.title, f.branch, f.base, f.head_sha, f.url, f.author, f.opened_at, f.draft, f.trial, f.shown),
    t.tasks.c.agent,
    t.tasks.c.priority,
    t.tasks.c.state["waits_for"].label("waits_for"),
    _PULL["checks"].as_string().label("checks"),
    _PULL["base_sha"].as_string().label("base_said"),
    and_(f.task.is_not(None), _ASKS).label("asks"),
)
_IN_FLIGHT = (
    select(*_COLUMNS)
    .select_from(t.flights.outerjoin(t.tasks, _CARRIED))
    .where(
        f.repository_id == bindparam("repository"),
        f.open,
        or_(bindparam("base", type_=Text).is_(None), f.base == bindparam("base", type_=Text)),
        or_(f.task.is_(None), and_(t.tasks.c.pull_number == f.number, t.tasks.c.withdrawn.is_(False))),
    )
    .order_by(f.number.desc())
    .limit(MOST)
)


async def in_flight(connection: AsyncConnection, repository_id: int, base: str | None = None) -> dict[int, Flight]:
    """The open pull requests that go into `base` (None: any), by number; none that its task no longer carries."""
    rows = await connection.execute(_IN_FLIGHT, {"repository": repository_id, "base": base})
    found = [_flight(dict(row)) for row in rows.mappings()]
    return {flight.number: flight for flight in reversed(found)}


def _flight(row: dict[str, Any]) -> Flight:
    trial, priority = row.pop("trial"), row.pop("priority")
    needs, checks = row.pop("waits_for") or (), row.pop("checks")
    return Flight(
        **row,
        trial=_TRIAL.validate_python(trial) if trial is not None else None,
        rank=Priority(priority).rank if priority else Priority.P2.rank,
        needs=tuple(int(reference[1:]) for reference in needs if reference.startswith("#")),
        passed=checks in (None, ChecksState.SUCCESS, ChecksState.NONE),
    )


async def updated_at(connection: AsyncConnection, repository_id: int, number: int) -> datetime | None:
    """When the pull request last changed, as far as we know it."""
    query = select(f.updated_at).where(f.repository_id == repository_id, f.number == number)
    return (await connection.execute(query)).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Kept:
    """A pull request as it was last seen."""

    number: int
    title: str
    base: str
    head_sha: str
    draft: bool
    open: bool


async def kept(connection: AsyncConnection, repository_id: int) -> dict[int, Kept]:
    """All pull requests as they were last seen, by number, closed ones as long as they are remembered."""
    query = select(f.number, f.title, f.base, f.head_sha, f.draft, f.open).where(f.repository_id == repository_id)
    return {row.number: Kept(*row) for row in await connection.execute(query)}


async def carriers(connection: AsyncConnection, repository_id: int) -> dict[int, Task]:
    """The tasks whose pull request is open as far as we know, by its number; withdrawn ones left out."""
    query = select(t.tasks.c.state).where(
        t.tasks.c.repository_id == repository_id, t.tasks.c.withdrawn.is_(False), _PULL["open"].as_boolean()
    )
    found = [task_from_json(state) for state in (await connection.execute(query)).scalars()]
    return {task.pull.number: task for task in found if task.pull}


async def see(connection: AsyncConnection, repository_id: int, task: int | None, facts: PullFacts) -> bool:
    """Keep a pull request as it is now, and tell whether it has to be compared anew. Old news changes nothing."""
    values = {
        "task": task,
        "title": facts.title,
        "branch": facts.branch,
        "base": facts.base,
        "head_sha": facts.head_sha,
        "url": facts.url,
        "author": facts.author.login,
        "opened_at": facts.opened_at,
        "draft": facts.draft,
        "updated_at": facts.updated_at,
        "open": facts.open,
    }
    which = (f.repository_id == repository_id, f.number == facts.number)
    known = select(f.head_sha, f.base, f.open, f.updated_at).where(*which).cte("known")
    statement = insert(t.flights).values(repository_id=repository_id, number=facts.number, **values)
    new = statement.excluded
    unchanged = and_(f.head_sha == new.head_sha, f.base == new.base)
    kept = {"trial": case((unchanged, f.trial), else_=null()), "shown": case((unchanged, f.shown), else_="")}
    saved = statement.on_conflict_do_update(
        index_elements=["repository_id", "number"], set_={**values, **kept}, where=f.updated_at <= new.updated_at
    )
    before = (await connection.execute(select(known).add_cte(saved.cte("saved")))).first()
    if before and facts.updated_at < before.updated_at:
        return False
    same = before is not None and (before.head_sha, before.base) == (facts.head_sha, facts.base)
    return facts.open and not (same and before is not None and before.open)


async def save_trials(connection: AsyncConnection, repository_id: int, trials: Mapping[int, Trial]) -> None:
    """Keep how heads merged with their base."""
    for number, trial in trials.items():
        await connection.execute(
            update(t.flights)
            .where(f.repository_id == repository_id, f.number == number)
            .values(trial=_TRIAL.dump_python(trial, mode="json"))
        )


async def shown(connection: AsyncConnection, repository_id: int, number: int, what: str) -> None:
    """Keep what the check of a pull request without a task says."""
    where = (f.repository_id == repository_id, f.number == number)
    await connection.execute(update(t.flights).where(*where).values(shown=what))


async def pairs(connection: AsyncConnection, repository_id: int, of: Collection[int] | None = None) -> list[Pair]:
    """The pairs that change a file in common; with `of` only those that one of these is part of."""
    query = select(p.one, p.other, p.one_sha, p.other_sha, p.files).where(p.repository_id == repository_id)
    if of is not None:
        query = query.where(or_(p.one.in_(of), p.other.in_(of)))
    rows = await connection.execute(query.order_by(p.one, p.other))
    return [Pair(*row[:4], _FILES.validate_python(row.files)) for row in rows]


async def save_pairs(connection: AsyncConnection, repository_id: int, found: Iterable[Pair]) -> None:
    """Keep what came of these pairs."""
    rows = [
        {
            "repository_id": repository_id,
            "one": pair.one,
            "other": pair.other,
            "one_sha": pair.one_sha,
            "other_sha": pair.other_sha,
            "files": _FILES.dump_python(pair.files, mode="json"),
        }
        for pair in found
    ]
    if rows:
        statement = insert(t.pairs)
        news = {name: statement.excluded[name] for name in ("one_sha", "other_sha", "files")}
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["repository_id", "one", "other"], set_=news), rows
        )


async def drop_pairs(connection: AsyncConnection, repository_id: int, which: Collection[tuple[int, int]]) -> None:
    """These pairs no longer change a file in common, or one of them is over."""
    if which:
        await connection.execute(
            delete(t.pairs).where(p.repository_id == repository_id, tuple_(p.one, p.other).in_(which))
        )


async def prune(connection: AsyncConnection, before: datetime) -> int:
    """Drop pull requests that were closed before then; gives how many."""
    gone = await connection.execute(delete(t.flights).where(~f.open, f.updated_at < before))
    return gone.rowcount
