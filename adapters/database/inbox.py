"""Deliveries: stored together with the job that handles them, so that what was answered 202 is never lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.queue import DELIVERY, JobQueue, Wanted

LARGE = 1024 * 1024  # bytes of a payload that goes its own way


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


_D = t.deliveries.c
_MOST = bindparam("most", type_=Integer)
_FITS = or_(_MOST.is_(None), func.octet_length(_D.payload) <= _MOST)
_ONE = select(
    *(column for column in _D if column is not _D.payload),
    case((_FITS, _D.payload)).label("payload"),
).where(_D.guid == bindparam("which"))
_UNHANDLED = select(func.count()).select_from(
    select(_D.guid).where(_D.handled_at.is_(None)).limit(bindparam("most")).subquery()
)
_KEEP = insert(t.deliveries).on_conflict_do_nothing().returning(t.deliveries.c.guid)
_MARK = update(t.deliveries).where(t.deliveries.c.guid == bindparam("which"))


async def store_deliveries(database: Database, jobs: JobQueue, told: Sequence[tuple[StoredDelivery, str]]) -> set[str]:
    """Keep deliveries, and ask for their jobs, each behind its lock; all in one transaction; gives the new GUIDs."""
    rows = {
        delivery.guid: {
            "guid": delivery.guid,
            "event": delivery.event,
            "action": delivery.action,
            "repository_id": delivery.repository_id,
            "installation_id": delivery.installation_id,
            "payload": delivery.payload,
            "received_at": delivery.received_at,
        }
        for delivery, _ in told
    }
    large = any(len(delivery.payload) > LARGE for delivery, _ in told)
    # In the order of the GUIDs: two that are stored twice at once, in two groups, do not wait for each other.
    values = [rows[guid] for guid in sorted(rows)]
    async with database.transaction(once=large) as connection:
        new = set((await connection.execute(_KEEP, values)).scalars())
        wanted = {delivery.guid: Wanted(DELIVERY, lock, {"guid": delivery.guid}) for delivery, lock in reversed(told)}
        await jobs.defer_all(
            connection, [wanted[guid] for guid in dict.fromkeys(d.guid for d, _ in told) if guid in new]
        )
    return new


async def store_delivery(database: Database, jobs: JobQueue, delivery: StoredDelivery, lock: str) -> bool:
    """Keep one delivery and ask for its job, in one transaction; False when its GUID is here already."""
    return delivery.guid in await store_deliveries(database, jobs, [(delivery, lock)])


async def count_unhandled(connection: AsyncConnection, most: int) -> int:
    """How many deliveries wait to be handled; counted no further than to `most`."""
    return int((await connection.execute(_UNHANDLED, {"most": most})).scalar_one())


async def load_delivery(connection: AsyncConnection, guid: str, most: int | None = None) -> StoredDelivery | None:
    """The delivery with this GUID; without its payload (`b""`) if that has more than `most` bytes."""
    row = (await connection.execute(_ONE, {"which": guid, "most": most})).mappings().first()
    if row is None:
        return None
    return StoredDelivery(
        guid=row["guid"],
        event=row["event"],
        action=row["action"],
        repository_id=row["repository_id"],
        installation_id=row["installation_id"],
        payload=row["payload"] or b"",
        received_at=row["received_at"],
        tries=row["tries"],
        handled=row["handled_at"] is not None,
    )


async def load_payload(database: Database, guid: str) -> bytes:
    """A large payload, as it is: the usual way it would come with two digits for each byte."""
    async with database.transaction(once=True) as connection:
        raw = await connection.get_raw_connection()
        if raw.driver_connection is None:
            raise DisconnectionError("the connection was closed")
        async with raw.driver_connection.cursor(binary=True) as cursor:
            await cursor.execute("SELECT payload FROM deliveries WHERE guid = %s", (guid,))
            [payload] = await cursor.fetchone()
    return bytes(payload)


async def mark_delivery(connection: AsyncConnection, guid: str, **values: Any) -> None:
    """Note what became of a delivery (`handled_at`, `tries`, `error`)."""
    await connection.execute(_MARK, {"which": guid, **values})
