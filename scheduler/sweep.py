"""The one timer: takes the deadlines that have come due and turns each into a job, exactly once."""

from __future__ import annotations

from sqlalchemy import RowMapping, bindparam, delete, select, tuple_

from adapters.database import tables as t
from adapters.database.jobs import DUE, URGENT_SEND, Wanted, handling, issue_lock, retry_key, sending
from engine.unit_of_work import Work

BATCH = 200  # rows of one transaction; the next batch follows at once


_KEY = (t.deadlines.c.repository_id, t.deadlines.c.subject, t.deadlines.c.kind)
_DUE = (
    select(*_KEY)
    .where(t.deadlines.c.due_at <= bindparam("now"))
    .order_by(t.deadlines.c.due_at)
    .limit(BATCH)
    .with_for_update(skip_locked=True)
)
_TAKE_DUE = delete(t.deadlines).where(tuple_(*_KEY).in_(_DUE)).returning(t.deadlines)


async def sweep(work: Work) -> int:
    """Take all deadlines that are due now; gives how many.

    Replicas sweep side by side: a row that one has locked the others pass over. Taking it and asking for its job is
    one transaction, so a crash loses none and doubles none.
    """
    taken = 0
    while (batch := await _take(work)) > 0:
        taken += batch
    return taken


async def _take(work: Work) -> int:
    async with work.database.transaction() as connection:
        taken = (await connection.execute(_TAKE_DUE, {"now": work.now()})).mappings().all()
        await work.jobs.defer_all(connection, [_job(row) for row in sorted(taken, key=lambda row: row["due_at"])])
    return len(taken)


def _job(row: RowMapping) -> Wanted:
    repository_id, subject, number = row["repository_id"], row["subject"], row["attempt"]
    what, _, which = subject.partition(":")
    if what == "outbox":  # where the number of an effect's task stands in the place of an attempt
        return sending(repository_id, number, urgent=row["kind"] == URGENT_SEND)
    if what == "delivery":
        return handling(retry_key(which))
    told = {"repository_id": repository_id, "subject": subject, "kind": row["kind"], "attempt": number}
    return Wanted(DUE, issue_lock(repository_id, which or what), told)
