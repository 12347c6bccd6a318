"""The one timer: takes the deadlines that have come due and turns each into a job, exactly once."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, tuple_

from adapters.database import tables as t
from adapters.database.queue import DELIVERY, DUE, SEND, issue_lock, send_lock
from adapters.unit_of_work import Work

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
        for row in taken:
            repository_id, subject, kind = row["repository_id"], row["subject"], row["kind"]
            what, _, which = subject.partition(":")
            if what == "outbox":
                number = row["attempt"]  # for an effect the number of its task stands here
                await work.jobs.defer(
                    connection, SEND, send_lock(repository_id, number), repository_id=repository_id, number=number
                )
            elif what == "delivery":
                await work.jobs.defer(connection, DELIVERY, f"delivery:{which}", guid=which)
            else:
                await work.jobs.defer(
                    connection,
                    DUE,
                    issue_lock(repository_id, which or what),
                    repository_id=repository_id,
                    subject=subject,
                    kind=kind,
                    attempt=row["attempt"],
                )
    return len(taken)
