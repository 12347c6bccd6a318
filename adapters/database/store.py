"""Reading and writing single things, always on a connection that the caller's transaction owns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import DateTime, and_, bindparam, case, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.codec import effect_to_json, task_from_json, task_to_json
from core.deadlines import Deadline
from core.effects import Effect, Notify, SetLabels, UpsertDigest
from core.queue import Queued, place_in_queue
from core.task import Status, Task

OUTDATED = "outdated "  # begins the digest of a card that says so of the configuration


async def outdated_cards(connection: AsyncConnection, repository_id: int) -> list[int]:
    """The tasks whose card says that the configuration in force is an older one."""
    rows = await connection.execute(
        select(t.outbox.c.number).where(
            t.outbox.c.repository_id == repository_id, t.outbox.c.digest.startswith(OUTDATED)
        )
    )
    return list(rows.scalars())


_TASK = select(t.tasks.c.state).where(
    t.tasks.c.repository_id == bindparam("repository"), t.tasks.c.number == bindparam("issue")
)


async def task(connection: AsyncConnection, repository_id: int, number: int) -> Task | None:
    """The task of this issue, if it is one."""
    which = {"repository": repository_id, "issue": number}
    state = (await connection.execute(_TASK, which)).scalar_one_or_none()
    return task_from_json(state) if state is not None else None


async def tasks_with_status(connection: AsyncConnection, repository_id: int, statuses: Iterable[Status]) -> list[Task]:
    """All tasks in one of these statuses, by number; withdrawn ones are left out."""
    query = (
        select(t.tasks.c.state)
        .where(
            t.tasks.c.repository_id == repository_id,
            t.tasks.c.status.in_([s.value for s in statuses]),
            t.tasks.c.withdrawn.is_(False),
        )
        .order_by(t.tasks.c.number)
    )
    return [task_from_json(state) for state in (await connection.execute(query)).scalars()]


async def tasks_numbered(connection: AsyncConnection, repository_id: int, numbers: Collection[int]) -> dict[int, Task]:
    """Those of these issues that are tasks, withdrawn ones among them."""
    query = select(t.tasks.c.state).where(t.tasks.c.repository_id == repository_id, t.tasks.c.number.in_(numbers))
    found = [task_from_json(state) for state in (await connection.execute(query)).scalars()]
    return {task.number: task for task in found}


async def any_task(connection: AsyncConnection, repository_id: int | None = None) -> bool:
    """Whether there is a task, or anything that was written down of one; in this repository, or in any."""
    for table in (t.tasks, t.events):
        query = select(table.c.repository_id).limit(1)
        if repository_id is not None:
            query = query.where(table.c.repository_id == repository_id)
        if (await connection.execute(query)).first() is not None:
            return True
    return False


async def believed_open(connection: AsyncConnection, repository_id: int) -> list[int]:
    """The tasks whose issue is open as far as we know, and that we look after."""
    query = select(t.tasks.c.number).where(
        t.tasks.c.repository_id == repository_id,
        t.tasks.c.withdrawn.is_(False),
        t.tasks.c.state["issue_open"].as_boolean(),
    )
    return sorted((await connection.execute(query)).scalars())


async def labels_known(connection: AsyncConnection, repository_id: int, numbers: Collection[int]) -> dict[int, str]:
    """What the sender of labels noted of these issues (`Baseline`), where it has."""
    keys = {SetLabels(number, ()).key: number for number in numbers}
    rows = await connection.execute(
        select(t.outbox.c.key, t.outbox.c.digest).where(
            t.outbox.c.repository_id == repository_id, t.outbox.c.key.in_(keys), t.outbox.c.digest.is_not(None)
        )
    )
    return {keys[row.key]: row.digest for row in rows}


async def save_task(connection: AsyncConnection, task: Task, now: datetime) -> None:
    """Write the task, with the columns that are views of it."""
    values = {
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
        "updated_at": now,
        "state": task_to_json(task),
    }
    statement = insert(t.tasks).values(
        repository_id=task.repository_id, number=task.number, created_at=task.created_at, **values
    )
    await connection.execute(statement.on_conflict_do_update(index_elements=["repository_id", "number"], set_=values))
    if task.pull:
        link = insert(t.pulls).values(repository_id=task.repository_id, number=task.pull.number, task=task.number)
        await connection.execute(link.on_conflict_do_nothing())


async def queued(connection: AsyncConnection, repository_id: int, depth: int) -> list[Queued]:
    """The tasks that could be handed out, parked ones among them; none where all fit in and none is parked."""
    there = (t.tasks.c.repository_id == repository_id, t.tasks.c.queued.is_not(None))
    counts = select(func.count(), func.count().filter(t.tasks.c.queued.is_(False))).where(*there)
    [(count, parked)] = await connection.execute(counts)
    if count <= depth and not parked:
        return []
    columns = (t.tasks.c.number, t.tasks.c.priority, t.tasks.c.created_at, t.tasks.c.queued)
    rows = await connection.execute(select(*columns).where(*there))
    return [Queued(number, priority, created_at, not in_it) for number, priority, created_at, in_it in rows]


async def save_effect(
    connection: AsyncConnection,
    repository_id: int,
    number: int,
    effect: Effect,
    now: datetime,
    wait: timedelta = timedelta(),
) -> int:
    """Put an effect into the outbox. A state effect replaces an earlier one; a once effect stays what it was.

    A state effect may `wait` for others that replace it. Gives the number under which it is kept:
    that of its task, but that of their channel for messages, so that no channel waits for a task or another channel.
    """
    number = effect.place if isinstance(effect, Notify) else number
    kind = type(effect).__name__
    payload = effect_to_json(effect)
    statement = insert(t.outbox).values(
        repository_id=repository_id,
        number=number,
        key=effect.key,
        kind=kind,
        payload=payload,
        created_at=now,
        not_before=now + wait if wait else None,
    )
    if effect.state:
        waits = t.outbox.c.state == "waiting"
        statement = statement.on_conflict_do_update(
            index_elements=["repository_id", "key"],
            set_={
                "payload": payload,
                "version": t.outbox.c.version + 1,
                "state": "waiting",
                # A send whose fate is unknown makes the next one look first, whatever it is to write.
                "tries": case((t.outbox.c.state == "done", 0), else_=func.least(t.outbox.c.tries, 1)),
                # What waits already goes when it would have gone, and earlier if what is new may wait less. While
                # one is being sent, what is new waits anew.
                "not_before": case(
                    (and_(waits, t.outbox.c.not_before > now), func.least(t.outbox.c.not_before, now + wait)),
                    (and_(waits, t.outbox.c.tries == 0), t.outbox.c.not_before),
                    else_=now + wait,
                )
                if wait
                else None,
                "error": None,
                "created_at": case((waits, t.outbox.c.created_at), else_=now),  # it keeps its place in the line
                "done_at": None,
            },
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=["repository_id", "key"])
    row = (await connection.execute(statement.returning(t.outbox.c.id, t.outbox.c.not_before))).first()
    if row and row.not_before:
        await set_deadline(connection, repository_id, f"outbox:{row.id}", "send", row.not_before, number)
    return number


async def unsent(connection: AsyncConnection, repository_id: int, now: datetime) -> list[int]:
    """Under which numbers something waits that could be sent."""
    columns = t.outbox.c
    query = (
        select(columns.number)
        .distinct()
        .where(
            columns.repository_id == repository_id,
            columns.state == "waiting",
            or_(columns.not_before.is_(None), columns.not_before <= now),
        )
    )
    return list((await connection.execute(query.order_by(columns.number))).scalars())


_NEW_DEADLINE = insert(t.deadlines)
_SET_DEADLINE = _NEW_DEADLINE.on_conflict_do_update(
    index_elements=["repository_id", "subject", "kind"],
    set_={"due_at": _NEW_DEADLINE.excluded.due_at, "attempt": _NEW_DEADLINE.excluded.attempt},
)


# What was put off stays put off (`scheduler.absence`): by the state it was over long ago.
_REPLACE_DEADLINES = _NEW_DEADLINE.on_conflict_do_update(
    index_elements=["repository_id", "subject", "kind"],
    set_={
        "due_at": case(
            (
                and_(
                    _NEW_DEADLINE.excluded.due_at <= bindparam("now", type_=DateTime(timezone=True)),
                    t.deadlines.c.attempt == _NEW_DEADLINE.excluded.attempt,
                ),
                func.greatest(t.deadlines.c.due_at, _NEW_DEADLINE.excluded.due_at),
            ),
            else_=_NEW_DEADLINE.excluded.due_at,
        ),
        "attempt": _NEW_DEADLINE.excluded.attempt,
    },
)


async def replace_deadlines(
    connection: AsyncConnection, repository_id: int, subject: str, deadlines: Sequence[Deadline], now: datetime
) -> None:
    """The deadlines of a subject are exactly these; one that is over already does not come before its row said.

    It is due from now on, not since long ago: a row that is late tells `scheduler.absence` that nobody swept.
    """
    others = delete(t.deadlines).where(
        t.deadlines.c.repository_id == repository_id,
        t.deadlines.c.subject == subject,
        t.deadlines.c.kind.not_in([d.kind.value for d in deadlines]),
    )
    if not deadlines:
        await connection.execute(others)
        return
    rows = [
        {
            "repository_id": repository_id,
            "subject": subject,
            "kind": deadline.kind.value,
            "due_at": max(deadline.due_at, now),
            "attempt": deadline.attempt,
        }
        for deadline in deadlines
    ]
    await connection.execute(_REPLACE_DEADLINES.values(rows).add_cte(others.cte("others")), {"now": now})


async def set_deadline(
    connection: AsyncConnection,
    repository_id: int,
    subject: str,
    kind: str,
    due_at: datetime,
    attempt: int = 0,
) -> None:
    """One wait; a later call for the same subject and kind moves it."""
    await connection.execute(
        _SET_DEADLINE,
        {"repository_id": repository_id, "subject": subject, "kind": kind, "due_at": due_at, "attempt": attempt},
    )


async def no_later(connection: AsyncConnection, repository_id: int, subject: str, kind: str, due_at: datetime) -> None:
    """One wait that ends at `due_at`, or earlier if it is there already."""
    earlier = func.least(t.deadlines.c.due_at, _NEW_DEADLINE.excluded.due_at)
    statement = _NEW_DEADLINE.on_conflict_do_update(
        index_elements=["repository_id", "subject", "kind"], set_={"due_at": earlier}
    )
    which = {"repository_id": repository_id, "subject": subject, "kind": kind}
    await connection.execute(statement, {**which, "due_at": due_at, "attempt": 0})


async def drop_deadline(connection: AsyncConnection, repository_id: int, subject: str, kind: str) -> None:
    """There is nothing to wait for any more."""
    d = t.deadlines.c
    await connection.execute(
        delete(t.deadlines).where(d.repository_id == repository_id, d.subject == subject, d.kind == kind)
    )


async def digest_issue(connection: AsyncConnection, repository_id: int) -> int | None:
    """The number of the repository's digest issue, if one was made."""
    query = select(t.outbox.c.remote_id).where(
        t.outbox.c.repository_id == repository_id, t.outbox.c.key == UpsertDigest().key
    )
    return (await connection.execute(query)).scalar_one_or_none()


_WORKING = t.tasks.c.status == Status.IN_PROGRESS.value
_REVIEWING = t.tasks.c.status == Status.REVIEW.value
_AT_WORK = case((_WORKING, t.tasks.c.agent), else_=t.tasks.c.state["review"]["agent"].as_string()).label("agent")
_HOLDERS = (
    select(_AT_WORK)
    .where(t.tasks.c.repository_id == bindparam("repository"), or_(_WORKING, _REVIEWING), _AT_WORK.element.is_not(None))
    .subquery()
)
_HOLDINGS = select(_HOLDERS.c.agent, func.count()).group_by(_HOLDERS.c.agent)


async def holdings(connection: AsyncConnection, repository_id: int) -> dict[str, int]:
    """How many tasks each agent is at work on, reviews among them."""
    return dict((await connection.execute(_HOLDINGS, {"repository": repository_id})).all())


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
