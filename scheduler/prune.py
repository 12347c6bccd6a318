"""Deletes old deliveries and other rows that no longer count, so that the database does not grow for ever."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import delete

from adapters.database import attempts as attempt_records
from adapters.database import open_pulls, redeliveries, store
from adapters.database import tables as t
from core.task.deadlines import DeadlineTarget, TargetKind
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

SERVICE_TARGET = DeadlineTarget(TargetKind.SERVICE)  # of deadlines that belong to no repository
PRUNE = "prune"
INTERVAL = timedelta(days=1)
# GitHub can redeliver for three days; a GUID must be known at least that long.
DELIVERY_RETENTION = timedelta(days=7)


async def prune_database(work: UnitOfWorkFactory) -> int:
    """Delete rows that were handled or counted long ago, and schedule the next run; returns how many deliveries."""
    now = work.now()
    async with work.database.transaction() as connection:
        await store.set_deadline(connection, 0, SERVICE_TARGET, PRUNE, now + INTERVAL)
        is_old = t.deliveries.c.handled_at < now - DELIVERY_RETENTION
        # Dead letters stay until a person has looked.
        result = await connection.execute(delete(t.deliveries).where(is_old, t.deliveries.c.error.is_(None)))
        attempts = await attempt_records.prune(connection, now)
        await open_pulls.prune(connection, now - DELIVERY_RETENTION)
        await redeliveries.prune(connection, now - DELIVERY_RETENTION)
    log.info("pruned", deliveries=result.rowcount, attempts=attempts)
    return result.rowcount
