"""Takes due deadlines and creates a job for each, exactly once."""

from __future__ import annotations

from sqlalchemy import RowMapping, bindparam, delete, select, tuple_

from adapters.database import tables as t
from adapters.database.jobs import DUE, URGENT_SEND, JobRequest, delivery_job, issue_lock, retry_key, send_job
from core.task.deadlines import TargetKind
from engine.unit_of_work import UnitOfWorkFactory

BATCH_SIZE = 200  # rows per transaction; the next batch follows at once


_KEY = tuple(t.deadlines.primary_key.columns)
_DUE = (
    select(*_KEY)
    .where(t.deadlines.c.due_at <= bindparam("now"))
    .order_by(t.deadlines.c.due_at)
    .limit(BATCH_SIZE)
    .with_for_update(skip_locked=True)
)
_TAKE_DUE = delete(t.deadlines).where(tuple_(*_KEY).in_(_DUE)).returning(t.deadlines)


_ARGUMENTS = ("repository_id", "target_kind", "target_id", "kind", "attempt", "payload")


async def sweep(work: UnitOfWorkFactory) -> int:
    """Take all deadlines that are due now; returns how many.

    Replicas sweep in parallel: a row that one has locked is skipped by the others. Taking it and creating its job is
    one transaction, so a crash loses and duplicates nothing.
    """
    count = 0
    while (batch := await _enqueue_batch(work)) > 0:
        count += batch
    return count


async def _enqueue_batch(work: UnitOfWorkFactory) -> int:
    async with work.database.transaction() as connection:
        rows = (await connection.execute(_TAKE_DUE, {"now": work.now()})).mappings().all()
        await work.jobs.defer_all(connection, [_job(row) for row in sorted(rows, key=lambda row: row["due_at"])])
    return len(rows)


def _job(row: RowMapping) -> JobRequest:
    repository_id, kind, id_ = row["repository_id"], row["target_kind"], row["target_id"]
    if kind == TargetKind.EFFECT:
        return send_job(repository_id, **row["payload"], urgent=row["kind"] == URGENT_SEND)
    if kind == TargetKind.DELIVERY:
        return delivery_job(retry_key(id_))
    arguments = {name: row[name] for name in _ARGUMENTS}
    return JobRequest(DUE, issue_lock(repository_id, id_ or kind), arguments)
