"""After a time in which nobody swept: first look, then judge.

Whoever was not listening has heard nothing, so silence in that time proves nothing. A replica that comes back, or
wakes, after all of them were away finds waits that were over long ago. It lets the reconciler look at once, and an
agent has its whole patience again. Nobody is replaced, called or reminded for what happened while we were deaf. Waits
are rows that replace each other, so nothing is done several times because several were missed.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, DateTime, bindparam, case, literal, select, update

from adapters.database import repositories, store
from adapters.database import tables as t
from config.repository import Timeouts
from core.task.deadlines import DeadlineKind
from engine.config_sync import RECONCILE, REPOSITORY
from engine.unit_of_work import Work

log = structlog.get_logger()

ABSENT = timedelta(minutes=2)  # a sweep is never so late while any replica runs
LOOK_FIRST = timedelta(minutes=2)  # by then the reconciler has seen what happened, and lost deliveries came again

_OF_TASKS = t.deadlines.c.subject.startswith("task:")
_CONCERNED = select(t.deadlines.c.repository_id).distinct().where(t.deadlines.c.due_at < bindparam("before"), _OF_TASKS)


async def after_absence(work: Work) -> int:
    """Put off what came due while nobody swept; gives how many waits. Nothing is late while a replica runs."""
    now, put_off = work.now(), 0
    async with work.database.autocommit() as connection:
        found = list((await connection.execute(_CONCERNED, {"before": now - ABSENT})).scalars())
    for repository_id in found:
        async with work.database.transaction() as connection:
            row = await repositories.repository(connection, repository_id)
            again = literal(now, DateTime(timezone=True)) + _grace(
                row.config.timeouts if row and row.config else Timeouts()
            )
            overdue = update(t.deadlines).where(
                t.deadlines.c.repository_id == repository_id,
                _OF_TASKS,
                t.deadlines.c.kind != DeadlineKind.POLL,  # asking is looking
                t.deadlines.c.due_at < again,
            )
            put_off += (await connection.execute(overdue.values(due_at=again))).rowcount
            if row and row.active:
                await store.no_later(connection, repository_id, REPOSITORY, RECONCILE, now)
    if found:
        log.warning("scheduler_was_down", repositories=len(found), waits=put_off)
    return put_off


def _grace(timeouts: Timeouts) -> ColumnElement[timedelta]:
    """How long a wait of this kind goes on: an agent has its whole patience to be heard again."""
    whole = {DeadlineKind.ACK: timeouts.ack, DeadlineKind.HEARTBEAT: timeouts.heartbeat}
    granted = {kind.value: max(patience, LOOK_FIRST) for kind, patience in whole.items()}
    return case(granted, value=t.deadlines.c.kind, else_=LOOK_FIRST)
