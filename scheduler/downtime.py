"""Extends deadlines after a downtime of all replicas.

A bot that was not running received nothing, so silence in that time proves nothing. A replica that starts, or wakes,
after all of them were down finds deadlines that were due long ago. It runs the reconciler at once, and each agent gets
its full timeout again. No agent is replaced and no person notified because of the downtime. Deadlines are rows that
replace each other, so nothing happens several times because several were missed.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, DateTime, bindparam, case, literal, select, update

from adapters.database import repositories, store
from adapters.database import tables as t
from config.repository import Timeouts
from core.task.deadlines import DeadlineKind, TargetKind
from engine.config_sync import RECONCILE, REPOSITORY
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

DOWNTIME_THRESHOLD = timedelta(minutes=2)  # a sweep is never this late while any replica runs
GRACE_PERIOD = timedelta(minutes=2)  # enough for reconcile, and for lost deliveries to arrive again

_IS_TASK_DEADLINE = t.deadlines.c.target_kind == TargetKind.TASK
_OVERDUE_REPOSITORIES = (
    select(t.deadlines.c.repository_id).distinct().where(t.deadlines.c.due_at < bindparam("before"), _IS_TASK_DEADLINE)
)


async def extend_deadlines_after_downtime(work: UnitOfWorkFactory) -> int:
    """Extend the deadlines that came due during a downtime; returns how many. Does nothing while a replica runs."""
    now, extended = work.now(), 0
    async with work.database.autocommit() as connection:
        repository_ids = list(
            (await connection.execute(_OVERDUE_REPOSITORIES, {"before": now - DOWNTIME_THRESHOLD})).scalars()
        )
    for repository_id in repository_ids:
        async with work.database.transaction() as connection:
            row = await repositories.load_repository(connection, repository_id)
            extended_due_at = literal(now, DateTime(timezone=True)) + _grace(
                row.config.timeouts if row and row.config else Timeouts()
            )
            overdue = update(t.deadlines).where(
                t.deadlines.c.repository_id == repository_id,
                _IS_TASK_DEADLINE,
                t.deadlines.c.kind != DeadlineKind.POLL,  # polling is harmless
                t.deadlines.c.due_at < extended_due_at,
            )
            extended += (await connection.execute(overdue.values(due_at=extended_due_at))).rowcount
            if row and row.active:
                await store.advance_deadline(connection, repository_id, REPOSITORY, RECONCILE, now)
    if repository_ids:
        log.warning("scheduler_was_down", repositories=len(repository_ids), waits=extended)
    return extended


def _grace(timeouts: Timeouts) -> ColumnElement[timedelta]:
    """How long a deadline of this kind is extended: an agent gets its full timeout to show life."""
    timeouts_by_kind = {DeadlineKind.ACK: timeouts.ack, DeadlineKind.HEARTBEAT: timeouts.heartbeat}
    grace_by_kind = {kind.value: max(timeout, GRACE_PERIOD) for kind, timeout in timeouts_by_kind.items()}
    return case(grace_by_kind, value=t.deadlines.c.kind, else_=GRACE_PERIOD)
