"""Housekeeping: what was handled long ago, or counts no more, goes, so that the database does not grow for ever."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import delete

from adapters.database import attempts as attempt_records
from adapters.database import open_pulls, redeliveries, store
from adapters.database import tables as t
from engine.unit_of_work import Work

log = structlog.get_logger()

SERVICE = "service"  # the subject of deadlines that belong to no repository
PRUNE = "prune"
EVERY = timedelta(days=1)
# GitHub can be asked to deliver again for three days; a GUID must be known at least that long.
KEEP_DELIVERIES = timedelta(days=7)


async def prune(work: Work) -> int:
    """Drop what was handled or counted long ago, and come back tomorrow; gives how many deliveries went."""
    now = work.now()
    async with work.database.transaction() as connection:
        await store.set_deadline(connection, 0, SERVICE, PRUNE, now + EVERY)
        old = t.deliveries.c.handled_at < now - KEEP_DELIVERIES
        # What was given up stays until a person has looked.
        gone = await connection.execute(delete(t.deliveries).where(old, t.deliveries.c.error.is_(None)))
        attempts = await attempt_records.prune(connection, now)
        await open_pulls.prune(connection, now - KEEP_DELIVERIES)
        await redeliveries.prune(connection, now - KEEP_DELIVERIES)
    log.info("pruned", deliveries=gone.rowcount, attempts=attempts)
    return gone.rowcount
