"""Deliveries: stored together with the job that handles them, so that what was answered 202 is never lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Integer, RowMapping, Text, bindparam, case, func, null, or_, select, text, update
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.jobs import DEFER, DELIVERY, MAIN, PRIORITIES, WAKE
from adapters.database.repositories import REPOSITORY_COLUMNS, RepositoryRow, repository_from_row

LARGE_PAYLOAD_BYTES = 1024 * 1024  # bytes of a payload that goes its own way


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
    attempts: int = 0
    repository: RepositoryRow | None = None  # as it was when the delivery was loaded, if we know it


_D = t.deliveries.c
_MAX_BYTES = bindparam("most", type_=Integer)
_HAS_SMALL_PAYLOAD = or_(_MAX_BYTES.is_(None), func.octet_length(_D.payload) <= _MAX_BYTES)
_COLUMNS = (
    *(column for column in _D if column is not _D.payload),
    case((_HAS_SMALL_PAYLOAD, _D.payload)).label("payload"),
)
# The one before is marked as handled by the way.
_MARK_HANDLED = (
    update(t.deliveries)
    .where(_D.guid == bindparam("handled"))
    .values(handled_at=bindparam("now", type_=DateTime(timezone=True)), error=null())
    .cte("handled")
)
_SELECT_NEXT = (
    select(*_COLUMNS, *REPOSITORY_COLUMNS)
    .select_from(t.deliveries.outerjoin(t.repositories, t.repositories.c.id == _D.repository_id))
    .where(
        _D.ordering_key == bindparam("key"),
        _D.handled_at.is_(None),
        _D.guid.is_distinct_from(bindparam("handled", type_=Text)),
    )
    .order_by(_D.received_at, _D.guid)
    .limit(1)
    .add_cte(_MARK_HANDLED)
)
_COUNT_UNHANDLED = select(func.count()).select_from(
    select(_D.guid).where(_D.handled_at.is_(None)).limit(bindparam("most")).subquery()
)
_UPDATE_DELIVERY = update(t.deliveries).where(t.deliveries.c.guid == bindparam("which"))
_INSERT_DELIVERIES = text(
    f"""
    WITH stored AS (
        INSERT INTO deliveries
            (guid, event, action, repository_id, installation_id, payload, received_at, ordering_key)
        SELECT * FROM unnest(
            CAST(:guid AS text[]), CAST(:event AS text[]), CAST(:action AS text[]), CAST(:repository_id AS bigint[]),
            CAST(:installation_id AS bigint[]), CAST(:payload AS bytea[]), CAST(:received_at AS timestamptz[]),
            CAST(:ordering_key AS text[])
        )
        ON CONFLICT DO NOTHING
        RETURNING guid, received_at, ordering_key
    ),
    wanted AS (
        SELECT row_number() OVER (ORDER BY min(received_at)) AS place, '{MAIN}' AS queue, '{DELIVERY}' AS task,
            {PRIORITIES[DELIVERY]} AS priority, ordering_key AS lock, jsonb_build_object('key', ordering_key) AS args
        FROM stored GROUP BY ordering_key
    ),
    {DEFER},
    woken AS MATERIALIZED ({WAKE})
    SELECT guid FROM stored WHERE (SELECT count(*) FROM woken) >= 0
    """  # noqa: S608 - of constants alone
)


async def store_deliveries(database: Database, deliveries: Sequence[tuple[StoredDelivery, str]]) -> set[str]:
    """Keep deliveries, each under its ordering key, and ask for their jobs, in one statement; gives the new GUIDs."""
    # In the order of the GUIDs: two that are stored twice at once, in two groups, do not wait for each other.
    unique = {delivery.guid: (delivery, key) for delivery, key in reversed(deliveries)}
    rows = [unique[guid] for guid in sorted(unique)]
    has_large_payload = any(len(delivery.payload) > LARGE_PAYLOAD_BYTES for delivery, _ in rows)
    names = ("guid", "event", "action", "repository_id", "installation_id", "payload", "received_at")
    values: dict[str, list[Any]] = {name: [getattr(delivery, name) for delivery, _ in rows] for name in names}
    async with database.transaction(discard=True) if has_large_payload else database.autocommit() as connection:
        result = await connection.execute(_INSERT_DELIVERIES, {**values, "ordering_key": [key for _, key in rows]})
        return set(result.scalars())


async def count_unhandled(connection: AsyncConnection, limit: int) -> int:
    """How many deliveries wait to be handled; counted no further than to `most`."""
    return int((await connection.execute(_COUNT_UNHANDLED, {"most": limit})).scalar_one())


async def next_delivery(
    connection: AsyncConnection, key: str, handled_guid: str | None, now: datetime, max_bytes: int | None = None
) -> StoredDelivery | None:
    """The oldest delivery that waits under this ordering key; `handled` is the one before, which is marked as handled.

    Without its payload (`b""`) if that has more than `most` bytes.
    """
    parameters = {"key": key, "handled": handled_guid, "now": now, "most": max_bytes}
    row = (await connection.execute(_SELECT_NEXT, parameters)).mappings().first()
    delivery = _delivery_from_row(row)
    if row is None or delivery is None or row[t.repositories.c.id] is None:
        return delivery
    return replace(delivery, repository=repository_from_row(row))


def _delivery_from_row(row: RowMapping | None) -> StoredDelivery | None:
    if row is None:
        return None
    return StoredDelivery(
        guid=row[_D.guid],
        event=row[_D.event],
        action=row[_D.action],
        repository_id=row[_D.repository_id],
        installation_id=row[_D.installation_id],
        payload=row["payload"] or b"",
        received_at=row[_D.received_at],
        attempts=row[_D.attempts],
    )


async def load_payload(database: Database, guid: str) -> bytes:
    """A large payload, as it is: the usual way it would come with two digits for each byte."""
    async with database.transaction(discard=True) as connection:
        raw = await connection.get_raw_connection()
        if raw.driver_connection is None:
            raise DisconnectionError("the connection was closed")
        async with raw.driver_connection.cursor(binary=True) as cursor:
            await cursor.execute("SELECT payload FROM deliveries WHERE guid = %s", (guid,))
            [payload] = await cursor.fetchone()
    return bytes(payload)


async def update_delivery(connection: AsyncConnection, guid: str, **values: Any) -> None:
    """Note what became of a delivery (`handled_at`, `attempts`, `error`), or under which ordering key it goes on."""
    await connection.execute(_UPDATE_DELIVERY, {"which": guid, **values})
