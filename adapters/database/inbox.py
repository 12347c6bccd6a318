"""Deliveries: stored together with the job that handles them, so that what was answered 202 is never lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.queue import DELIVERY, JobQueue


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as it came; `payload` is the verified body."""

    guid: str
    event: str
    action: str | None
    repository_id: int | None
    installation_id: int | None
    payload: bytes
    received_at: datetime
    tries: int = 0
    handled: bool = False


_ONE = select(t.deliveries).where(t.deliveries.c.guid == bindparam("which"))
_KEEP = insert(t.deliveries).on_conflict_do_nothing().returning(t.deliveries.c.guid)
_MARK = update(t.deliveries).where(t.deliveries.c.guid == bindparam("which"))


async def store_delivery(database: Database, jobs: JobQueue, delivery: StoredDelivery, lock: str) -> bool:
    """Keep a delivery and ask for its job, in one transaction; False when its GUID is here already."""
    async with database.transaction() as connection:
        values = {
            "guid": delivery.guid,
            "event": delivery.event,
            "action": delivery.action,
            "repository_id": delivery.repository_id,
            "installation_id": delivery.installation_id,
            "payload": delivery.payload,
            "received_at": delivery.received_at,
        }
        if (await connection.execute(_KEEP, values)).scalar_one_or_none() is None:
            return False
        await jobs.defer(connection, DELIVERY, lock, guid=delivery.guid)
    return True


async def load_delivery(connection: AsyncConnection, guid: str) -> StoredDelivery | None:
    """The delivery with this GUID."""
    row = (await connection.execute(_ONE, {"which": guid})).mappings().first()
    if row is None:
        return None
    return StoredDelivery(
        guid=row["guid"],
        event=row["event"],
        action=row["action"],
        repository_id=row["repository_id"],
        installation_id=row["installation_id"],
        payload=row["payload"],
        received_at=row["received_at"],
        tries=row["tries"],
        handled=row["handled_at"] is not None,
    )


async def mark_delivery(connection: AsyncConnection, guid: str, **values: Any) -> None:
    """Note what became of a delivery (`handled_at`, `tries`, `error`)."""
    await connection.execute(_MARK, {"which": guid, **values})
