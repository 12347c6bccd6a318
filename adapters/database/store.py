"""Reading and writing single things, always on a connection that the caller's transaction owns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.codec import task_from_json
from adapters.database.jobs import EffectGroup
from adapters.database.pending_writes import EMPTY, PendingWrites
from adapters.database.task_state import task_field
from core.assignment.agent_state import AgentActivity
from core.assignment.queue import QueuedTask
from core.audit.chain import INITIAL_HASH
from core.effects.base import SetLabels, UpsertDigest
from core.task.deadlines import Deadline, DeadlineTarget
from core.task.model import Status, Task

OUTDATED_PREFIX = "outdated "  # begins the content hash of a card that says so of the configuration


async def outdated_cards(connection: AsyncConnection, repository_id: int) -> list[int]:
    """The tasks whose card says that the configuration in force is an older one."""
    rows = await connection.execute(
        select(t.outbox.c.issue_number).where(
            t.outbox.c.repository_id == repository_id, t.outbox.c.content_hash.startswith(OUTDATED_PREFIX)
        )
    )
    return list(rows.scalars())


# What a unit of work needs besides the repository's row that it locks: the task, how the agents are, the end of the
# audit log. Read after the lock is there, because a statement sees the database as it was when it began.
_STATE = text(
    """
    SELECT
        (SELECT state FROM tasks WHERE repository_id = :repository AND number = :issue) AS task,
        (
            SELECT jsonb_object_agg(name, jsonb_build_array(seen_at, last_failure_at))
            FROM agents WHERE repository_id = :repository
        ) AS agents,
        last.seq, last.hash
    FROM (VALUES (1)) AS one
    LEFT JOIN LATERAL (
        SELECT seq, hash FROM events WHERE repository_id = :repository ORDER BY seq DESC LIMIT 1
    ) AS last ON true
    """
)


@dataclass(frozen=True, slots=True)
class TransactionState:
    """What a unit of work begins with."""

    task: Task | None
    signs_of_life: dict[str, AgentActivity]  # by the name of the agent
    chain_end: tuple[int, str]  # seq and hash of the last line of the audit log


async def load_state(connection: AsyncConnection, repository_id: int, number: int) -> TransactionState:
    """The task of this issue, if it is one, the signs of life of all agents, and the end of the audit log."""
    row = (await connection.execute(_STATE, {"repository": repository_id, "issue": number})).one()
    signs_of_life = {
        name: AgentActivity(*(datetime.fromisoformat(value) if value else None for value in timestamps))
        for name, timestamps in (row.agents or {}).items()
    }
    task = task_from_json(row.task) if row.task is not None else None
    return TransactionState(task, signs_of_life, (row.seq, row.hash) if row.hash is not None else (0, INITIAL_HASH))


_TASK = select(t.tasks.c.state).where(
    t.tasks.c.repository_id == bindparam("repository"), t.tasks.c.number == bindparam("issue")
)


async def load_task(connection: AsyncConnection, repository_id: int, number: int) -> Task | None:
    """The task of this issue, if it is one."""
    parameters = {"repository": repository_id, "issue": number}
    state = (await connection.execute(_TASK, parameters)).scalar_one_or_none()
    return task_from_json(state) if state is not None else None


async def tasks_with_status(connection: AsyncConnection, repository_id: int, statuses: Iterable[Status]) -> list[Task]:
    """All tasks in one of these statuses, by number; untracked ones are left out."""
    query = (
        select(t.tasks.c.state)
        .where(
            t.tasks.c.repository_id == repository_id,
            t.tasks.c.status.in_([s.value for s in statuses]),
            t.tasks.c.untracked.is_(False),
        )
        .order_by(t.tasks.c.number)
    )
    return [task_from_json(state) for state in (await connection.execute(query)).scalars()]


async def tasks_by_number(connection: AsyncConnection, repository_id: int, numbers: Collection[int]) -> dict[int, Task]:
    """Those of these issues that are tasks, untracked ones among them."""
    query = select(t.tasks.c.state).where(t.tasks.c.repository_id == repository_id, t.tasks.c.number.in_(numbers))
    tasks = [task_from_json(state) for state in (await connection.execute(query)).scalars()]
    return {task.number: task for task in tasks}


async def has_tasks(connection: AsyncConnection, repository_id: int | None = None) -> bool:
    """Whether there is a task, or anything that was written down of one; in this repository, or in any."""
    for table in (t.tasks, t.events):
        query = select(table.c.repository_id).limit(1)
        if repository_id is not None:
            query = query.where(table.c.repository_id == repository_id)
        if (await connection.execute(query)).first() is not None:
            return True
    return False


async def open_task_numbers(connection: AsyncConnection, repository_id: int) -> list[int]:
    """The tasks whose issue is open as far as we know, and that we look after."""
    query = select(t.tasks.c.number).where(
        t.tasks.c.repository_id == repository_id,
        t.tasks.c.untracked.is_(False),
        task_field("issue_open").as_boolean(),
    )
    return sorted((await connection.execute(query)).scalars())


async def label_baselines(connection: AsyncConnection, repository_id: int, numbers: Collection[int]) -> dict[int, str]:
    """What the sender of labels noted of these issues (`Baseline`), where it has."""
    keys = {SetLabels(number, ()).key: number for number in numbers}
    rows = await connection.execute(
        select(t.outbox.c.key, t.outbox.c.content_hash).where(
            t.outbox.c.repository_id == repository_id, t.outbox.c.key.in_(keys), t.outbox.c.content_hash.is_not(None)
        )
    )
    return {keys[row.key]: row.content_hash for row in rows}


async def save_task(connection: AsyncConnection, task: Task, now: datetime) -> None:
    """Write the task, with the columns that are views of it."""
    writes = PendingWrites(task.repository_id, now)
    writes.save_task(task)
    await writes.flush(connection)


async def load_queue(connection: AsyncConnection, repository_id: int, depth: int) -> list[QueuedTask]:
    """The tasks that could be assigned, with those that overflow the queue; none if all fit and none overflows."""
    conditions = (t.tasks.c.repository_id == repository_id, t.tasks.c.queue_state.is_not(None))
    counts = select(func.count(), func.count().filter(t.tasks.c.queue_state == "overflow")).where(*conditions)
    [(count, overflow_count)] = await connection.execute(counts)
    if count <= depth and not overflow_count:
        return []
    columns = (t.tasks.c.number, t.tasks.c.priority, t.tasks.c.created_at, t.tasks.c.queue_state)
    rows = await connection.execute(select(*columns).where(*conditions))
    return [
        QueuedTask(number, priority, created_at, state == "overflow") for number, priority, created_at, state in rows
    ]


async def unsent_numbers(connection: AsyncConnection, repository_id: int, now: datetime) -> list[EffectGroup]:
    """The issues and channels that have effects which could be sent."""
    columns = t.outbox.c
    query = (
        select(columns.issue_number, columns.channel)
        .distinct()
        .where(
            columns.repository_id == repository_id,
            columns.state == "pending",
            or_(columns.not_before.is_(None), columns.not_before <= now),
        )
    )
    rows = await connection.execute(query.order_by(columns.issue_number, columns.channel))
    return [EffectGroup(*row) for row in rows]


_KEY = ["repository_id", "target_kind", "target_id", "kind"]
_INSERT_DEADLINE = insert(t.deadlines)
_SET_DEADLINE = _INSERT_DEADLINE.on_conflict_do_update(
    index_elements=_KEY,
    set_={name: _INSERT_DEADLINE.excluded[name] for name in ("due_at", "attempt", "payload")},
)


async def replace_deadlines(
    connection: AsyncConnection,
    repository_id: int,
    target: DeadlineTarget,
    deadlines: Sequence[Deadline],
    now: datetime,
) -> None:
    """The deadlines of a target are exactly these; one that is over already does not come before its row said."""
    writes = PendingWrites(repository_id, now)
    writes.replace_deadlines(target, deadlines)
    await writes.flush(connection)


async def set_deadline(
    connection: AsyncConnection,
    repository_id: int,
    target: DeadlineTarget,
    kind: str,
    due_at: datetime,
    attempt: int = 0,
    payload: Mapping[str, Any] = EMPTY,
) -> None:
    """One wait; a later call for the same target and kind moves it."""
    values = {"due_at": due_at, "attempt": attempt, "payload": dict(payload)}
    await connection.execute(_SET_DEADLINE, {**_key(repository_id, target, kind), **values})


def _key(repository_id: int, target: DeadlineTarget, kind: str) -> dict[str, Any]:
    return {"repository_id": repository_id, "target_kind": target.kind, "target_id": target.id, "kind": kind}


async def advance_deadline(
    connection: AsyncConnection, repository_id: int, target: DeadlineTarget, kind: str, due_at: datetime
) -> None:
    """One wait that ends at `due_at`, or earlier if it is there already."""
    earlier = func.least(t.deadlines.c.due_at, _INSERT_DEADLINE.excluded.due_at)
    statement = _INSERT_DEADLINE.on_conflict_do_update(index_elements=_KEY, set_={"due_at": earlier})
    await connection.execute(statement, {**_key(repository_id, target, kind), "due_at": due_at})


async def delete_deadline(connection: AsyncConnection, repository_id: int, target: DeadlineTarget, kind: str) -> None:
    """There is nothing to wait for any more."""
    d = t.deadlines.c
    where = (d.repository_id == repository_id, d.target_kind == target.kind, d.target_id == target.id, d.kind == kind)
    await connection.execute(delete(t.deadlines).where(*where))


async def digest_issue_number(connection: AsyncConnection, repository_id: int) -> int | None:
    """The number of the repository's digest issue, if one was made."""
    query = select(t.outbox.c.remote_id).where(
        t.outbox.c.repository_id == repository_id, t.outbox.c.key == UpsertDigest().key
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def count_assignment(connection: AsyncConnection, repository_id: int, agent: str, tasks: int = 1) -> None:
    """One more task for this agent, or several."""
    statement = insert(t.agents).values(repository_id=repository_id, name=agent, assigned=tasks)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["repository_id", "name"], set_={"assigned": t.agents.c.assigned + tasks}
        )
    )


async def task_of_pull(connection: AsyncConnection, repository_id: int, pull: int) -> int | None:
    """The task that this pull request belongs to or once belonged to."""
    return (
        await connection.execute(
            select(t.pulls.c.task).where(t.pulls.c.repository_id == repository_id, t.pulls.c.number == pull)
        )
    ).scalar_one_or_none()


async def tasks_at_head(connection: AsyncConnection, repository_id: int, sha: str) -> list[int]:
    """The tasks whose pull request has this commit as its head."""
    rows = await connection.execute(
        select(t.tasks.c.number)
        .where(t.tasks.c.repository_id == repository_id, t.tasks.c.head_sha == sha)
        .order_by(t.tasks.c.number)
    )
    return list(rows.scalars())
