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
from adapters.database.task_state import task_field
from core.conflicts.pulls import FileConflict, OpenPull, PullPair, TrialMerge
from core.signals.base import PullFacts
from core.task.model import ChecksState, Priority, Task

MAX_PULLS = 1000  # pull requests that are compared with each other, the newest
_TRIAL = TypeAdapter(TrialMerge)
_FILES = TypeAdapter(tuple[FileConflict, ...])

_o, _p = t.open_pulls.c, t.pull_pairs.c
_IS_PULL_OF_TASK = and_(t.tasks.c.repository_id == _o.repository_id, t.tasks.c.number == _o.task)
# The task looks for a verdict on this head, or has to look again because a person let something pass for a while.
_NEEDS_MERGE_RESULT = or_(
    func.coalesce(task_field("pull", "mergeable_sha").as_string(), "") != _o.head_sha,
    func.coalesce(task_field("ignored_conflicts"), cast("{}", JSONB)) != cast("{}", JSONB),
)
_COLUMNS = (
    *(_o.number, _o.task, _o.title, _o.branch, _o.base, _o.head_sha, _o.url, _o.author, _o.opened_at, _o.draft),
    *(_o.trial_merge, _o.check_fingerprint),
    t.tasks.c.agent,
    t.tasks.c.priority,
    task_field("open_dependencies").label("open_dependencies"),
    task_field("pull", "checks").as_string().label("checks"),
    task_field("pull", "base_sha").as_string().label("reported_base_sha"),
    and_(_o.task.is_not(None), _NEEDS_MERGE_RESULT).label("needs_comparison"),
)
_OPEN_PULLS = (
    select(*_COLUMNS)
    .select_from(t.open_pulls.outerjoin(t.tasks, _IS_PULL_OF_TASK))
    .where(
        _o.repository_id == bindparam("repository"),
        _o.open,
        or_(bindparam("base", type_=Text).is_(None), _o.base == bindparam("base", type_=Text)),
        or_(_o.task.is_(None), and_(t.tasks.c.pull_number == _o.number, t.tasks.c.untracked.is_(False))),
    )
    .order_by(_o.number.desc())
    .limit(MAX_PULLS)
)


async def list_open(connection: AsyncConnection, repository_id: int, base: str | None = None) -> dict[int, OpenPull]:
    """The open pull requests that go into `base` (None: any), by number; none that its task no longer carries."""
    rows = await connection.execute(_OPEN_PULLS, {"repository": repository_id, "base": base})
    pulls = [_pull_from_row(dict(row)) for row in rows.mappings()]
    return {pull.number: pull for pull in reversed(pulls)}


def _pull_from_row(row: dict[str, Any]) -> OpenPull:
    trial, priority = row.pop("trial_merge"), row.pop("priority")
    dependencies, checks = row.pop("open_dependencies") or (), row.pop("checks")
    return OpenPull(
        **row,
        trial_merge=_TRIAL.validate_python(trial) if trial is not None else None,
        rank=Priority(priority).rank if priority else Priority.P2.rank,
        dependencies=tuple(int(reference[1:]) for reference in dependencies if reference.startswith("#")),
        checks_passed=checks in (None, ChecksState.SUCCESS, ChecksState.NONE),
    )


async def updated_at(connection: AsyncConnection, repository_id: int, number: int) -> datetime | None:
    """When the pull request last changed, as far as we know it."""
    query = select(_o.updated_at).where(_o.repository_id == repository_id, _o.number == number)
    return (await connection.execute(query)).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class SaveResult:
    """A pull request as it was last seen."""

    number: int
    title: str
    base: str
    head_sha: str
    draft: bool
    open: bool


async def load_all(connection: AsyncConnection, repository_id: int) -> dict[int, SaveResult]:
    """All pull requests as they were last seen, by number, closed ones as long as they are remembered."""
    query = select(_o.number, _o.title, _o.base, _o.head_sha, _o.draft, _o.open).where(
        _o.repository_id == repository_id
    )
    return {row.number: SaveResult(*row) for row in await connection.execute(query)}


async def pulls_of_tasks(connection: AsyncConnection, repository_id: int) -> dict[int, Task]:
    """The tasks whose pull request is open as far as we know, by its number; untracked ones left out."""
    query = select(t.tasks.c.state).where(
        t.tasks.c.repository_id == repository_id,
        t.tasks.c.untracked.is_(False),
        task_field("pull", "open").as_boolean(),
    )
    tasks = [task_from_json(state) for state in (await connection.execute(query)).scalars()]
    return {task.pull.number: task for task in tasks if task.pull}


async def upsert(connection: AsyncConnection, repository_id: int, task: int | None, facts: PullFacts) -> bool:
    """Save a pull request, and return whether it has to be compared again. An older event changes nothing."""
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
    conditions = (_o.repository_id == repository_id, _o.number == facts.number)
    existing = select(_o.head_sha, _o.base, _o.open, _o.updated_at).where(*conditions).cte("known")
    statement = insert(t.open_pulls).values(repository_id=repository_id, number=facts.number, **values)
    excluded = statement.excluded
    has_same_commits = and_(_o.head_sha == excluded.head_sha, _o.base == excluded.base)
    preserved = {
        "trial_merge": case((has_same_commits, _o.trial_merge), else_=null()),
        "check_fingerprint": case((has_same_commits, _o.check_fingerprint), else_=""),
    }
    upsert_statement = statement.on_conflict_do_update(
        index_elements=["repository_id", "number"],
        set_={**values, **preserved},
        where=_o.updated_at <= excluded.updated_at,
    )
    previous = (await connection.execute(select(existing).add_cte(upsert_statement.cte("saved")))).first()
    if previous and facts.updated_at < previous.updated_at:
        return False
    is_unchanged = previous is not None and (previous.head_sha, previous.base) == (facts.head_sha, facts.base)
    return facts.open and not (is_unchanged and previous is not None and previous.open)


async def save_trial_merges(connection: AsyncConnection, repository_id: int, trials: Mapping[int, TrialMerge]) -> None:
    """Keep how heads merged with their base."""
    for number, trial in trials.items():
        await connection.execute(
            update(t.open_pulls)
            .where(_o.repository_id == repository_id, _o.number == number)
            .values(trial_merge=_TRIAL.dump_python(trial, mode="json"))
        )


async def set_check_fingerprint(connection: AsyncConnection, repository_id: int, number: int, fingerprint: str) -> None:
    """Keep what the check of a pull request without a task says."""
    where = (_o.repository_id == repository_id, _o.number == number)
    await connection.execute(update(t.open_pulls).where(*where).values(check_fingerprint=fingerprint))


async def load_pairs(
    connection: AsyncConnection, repository_id: int, numbers: Collection[int] | None = None
) -> list[PullPair]:
    """The pairs that change a file in common; with `of` only those that one of these is part of."""
    query = select(_p.low_number, _p.high_number, _p.low_sha, _p.high_sha, _p.files).where(
        _p.repository_id == repository_id
    )
    if numbers is not None:
        query = query.where(or_(_p.low_number.in_(numbers), _p.high_number.in_(numbers)))
    rows = await connection.execute(query.order_by(_p.low_number, _p.high_number))
    return [PullPair(*row[:4], _FILES.validate_python(row.files)) for row in rows]


async def save_pairs(connection: AsyncConnection, repository_id: int, pull_pairs: Iterable[PullPair]) -> None:
    """Keep what came of these pairs."""
    rows = [
        {
            "repository_id": repository_id,
            "low_number": pair.low_number,
            "high_number": pair.high_number,
            "low_sha": pair.low_sha,
            "high_sha": pair.high_sha,
            "files": _FILES.dump_python(pair.files, mode="json"),
        }
        for pair in pull_pairs
    ]
    if rows:
        statement = insert(t.pull_pairs)
        updates = {name: statement.excluded[name] for name in ("low_sha", "high_sha", "files")}
        key = ["repository_id", "low_number", "high_number"]
        await connection.execute(statement.on_conflict_do_update(index_elements=key, set_=updates), rows)


async def delete_pairs(connection: AsyncConnection, repository_id: int, keys: Collection[tuple[int, int]]) -> None:
    """These pairs no longer change a file in common, or one of them is over."""
    if keys:
        await connection.execute(
            delete(t.pull_pairs).where(
                _p.repository_id == repository_id, tuple_(_p.low_number, _p.high_number).in_(keys)
            )
        )


async def prune(connection: AsyncConnection, before: datetime) -> int:
    """Drop pull requests that were closed before then; gives how many."""
    result = await connection.execute(delete(t.open_pulls).where(~_o.open, _o.updated_at < before))
    return result.rowcount
