"""What GitHub could not hand over, and how far its log of deliveries was read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t


@dataclass(frozen=True, slots=True)
class LogCursor:
    """How far the log was read: completely up to `complete_until` (None: nothing yet), at `read_at` by our clock; an
    unfinished scan started at `scan_started_at` and continues at `cursor`.
    """

    complete_until: datetime | None = None
    read_at: datetime | None = None
    scan_started_at: datetime | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class UndeliveredWebhook:
    """A delivery that GitHub could not hand over: its newest attempt, and how often it was asked for."""

    guid: str
    delivery_id: int
    event: str
    action: str | None
    status: str
    failed_at: datetime
    attempts: int = 0


_WEBHOOKS = t.undelivered_webhooks
_R = _WEBHOOKS.c
_COLUMNS = (_R.guid, _R.delivery_id, _R.event, _R.action, _R.status, _R.failed_at, _R.attempts)
_IS_PENDING = _R.state == "pending"
_INSERT = insert(_WEBHOOKS)
_UPSERT_FAILED = _INSERT.on_conflict_do_update(
    index_elements=["guid"],
    set_={name: _INSERT.excluded[name] for name in ("delivery_id", "status", "failed_at")},
    where=_IS_PENDING & (_INSERT.excluded.failed_at > _R.failed_at),
)
_UPSERT_ARRIVED = _INSERT.on_conflict_do_update(index_elements=["guid"], set_={"state": "arrived"})
_MARK_RECEIVED = (
    update(_WEBHOOKS).where(_IS_PENDING, exists().where(t.deliveries.c.guid == _R.guid)).values(state="arrived")
)


async def load_cursor(connection: AsyncConnection) -> LogCursor:
    """Where the next reading of the log begins."""
    columns = t.delivery_log_cursor.c
    row = (
        await connection.execute(
            select(columns.complete_until, columns.read_at, columns.scan_started_at, columns.cursor)
        )
    ).first()
    return LogCursor(*row) if row else LogCursor()


async def save_cursor(connection: AsyncConnection, cursor: LogCursor) -> None:
    """Remember where the next reading begins."""
    values = asdict(cursor)
    statement = insert(t.delivery_log_cursor).values(id=1, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


async def save_failed(connection: AsyncConnection, webhooks: Sequence[UndeliveredWebhook], now: datetime) -> None:
    """Note what failed; older news of a GUID, or news of one that arrived or was given up, changes nothing."""
    if webhooks:
        rows = [
            {**{column.name: getattr(webhook, column.name) for column in _COLUMNS}, "next_attempt_at": now}
            for webhook in webhooks
        ]
        await connection.execute(_UPSERT_FAILED, rows)


async def mark_arrived(
    connection: AsyncConnection, guids: Collection[str], redelivered: Sequence[UndeliveredWebhook]
) -> None:
    """Note what arrived. Of those `again`, which were sent more than once, an attempt that failed may yet be read."""
    if guids:
        await connection.execute(update(_WEBHOOKS).where(_R.guid.in_(guids)).values(state="arrived"))
    if redelivered:
        rows = [
            {
                **{column.name: getattr(webhook, column.name) for column in _COLUMNS},
                "next_attempt_at": webhook.failed_at,
                "state": "arrived",
            }
            for webhook in redelivered
        ]
        await connection.execute(_UPSERT_ARRIVED, rows)


async def mark_received(connection: AsyncConnection) -> int:
    """What waits and is among the deliveries that we have did arrive, whatever GitHub says; gives how many."""
    return (await connection.execute(_MARK_RECEIVED)).rowcount


async def mark_exhausted(connection: AsyncConnection, max_attempts: int, now: datetime) -> list[UndeliveredWebhook]:
    """Park those that failed again although they were asked for so often; gives them."""
    statement = (
        update(_WEBHOOKS)
        .where(_IS_PENDING, _R.next_attempt_at <= now, _R.attempts >= max_attempts)
        .values(state="dead")
    )
    return [UndeliveredWebhook(*row) for row in await connection.execute(statement.returning(*_COLUMNS))]


async def mark_dead(connection: AsyncConnection, guid: str, status: str) -> None:
    """GitHub cannot be asked for this one any more."""
    await connection.execute(update(_WEBHOOKS).where(_R.guid == guid).values(state="dead", status=status))


async def list_due(connection: AsyncConnection, now: datetime, limit: int) -> list[UndeliveredWebhook]:
    """Those whose turn it is, the oldest first: GitHub forgets them first."""
    query = (
        select(*_COLUMNS)
        .where(_IS_PENDING, _R.next_attempt_at <= now)
        .order_by(_R.failed_at, _R.delivery_id)
        .limit(limit)
    )
    return [UndeliveredWebhook(*row) for row in await connection.execute(query)]


async def record_request(connection: AsyncConnection, guid: str, attempts: int, next_attempt_at: datetime) -> None:
    """It was asked for so often now, and is again at this time if it does not come."""
    await connection.execute(
        update(_WEBHOOKS).where(_R.guid == guid).values(attempts=attempts, next_attempt_at=next_attempt_at)
    )


async def retry_dead(connection: AsyncConnection, since: datetime, attempts: int, now: datetime) -> int:
    """Those that were given up, and failed since then, get one more chance; gives how many."""
    statement = update(_WEBHOOKS).where(_R.state == "dead", _R.failed_at >= since)
    return (
        await connection.execute(statement.values(state="pending", attempts=attempts, next_attempt_at=now))
    ).rowcount


async def prune(connection: AsyncConnection, before: datetime) -> None:
    """Drop what GitHub no longer has."""
    await connection.execute(delete(_WEBHOOKS).where(_R.failed_at < before))


async def load_metrics(connection: AsyncConnection, now: datetime) -> dict[str, float]:
    """What operators see of all this, by the names of the metrics."""
    counts = select(
        func.count().filter(_IS_PENDING),
        func.count().filter(_IS_PENDING, _R.attempts >= 2),
        func.count().filter(_R.state == "dead"),
        func.coalesce(func.sum(_R.attempts), 0),
    )
    [(pending, repeatedly, dead, requested)] = await connection.execute(counts)
    read_at = (await connection.execute(select(t.delivery_log_cursor.c.read_at))).scalar_one_or_none()
    return {
        "deliveries_missing": pending,
        "deliveries_missing_repeatedly": repeatedly,
        "deliveries_given_up": dead,
        "redeliveries_asked": requested,
        "delivery_log_behind_seconds": (now - read_at).total_seconds() if read_at else 0,
    }
