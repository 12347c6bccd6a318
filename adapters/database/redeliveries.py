"""What GitHub could not hand over, and how far its log of deliveries was read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    delete,
    exists,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t

_MOMENT = DateTime(timezone=True)

# What GitHub could not hand over, by GUID, with the newest attempt that failed. One that arrived later stays as such
# for a while: the log may be read again.
MISSING = Table(
    "redeliveries",
    t.metadata,
    Column("guid", Text, primary_key=True),
    Column("delivery_id", BigInteger, nullable=False),  # of that attempt: what GitHub is asked to repeat
    Column("event", Text, nullable=False),
    Column("action", Text),
    Column("status", Text, nullable=False),  # GitHub's words on it
    Column("failed_at", _MOMENT, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'waiting'")),  # waiting | arrived | parked
    Column("asked", Integer, nullable=False, server_default=text("0")),  # how often we asked for it
    Column("ask_at", _MOMENT, nullable=False),
)
Index("redeliveries_waiting", MISSING.c.ask_at, postgresql_where=text("state = 'waiting'"))

# How far GitHub's log of deliveries was read: one row, or none. All up to `read_to` was; the reading under way began at
# `newest` and goes on at `cursor`.
LOG = Table(
    "delivery_log",
    t.metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("read_to", _MOMENT),
    Column("read_at", _MOMENT),  # when it was last read to its end
    Column("newest", _MOMENT),
    Column("cursor", Text),
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far the log was read. All up to `read_to` was (None: nothing yet), at `read_at` by our clock; a reading that
    was left began at `newest` and goes on at `cursor`.
    """

    read_to: datetime | None = None
    read_at: datetime | None = None
    newest: datetime | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """A delivery that GitHub could not hand over: its newest attempt, and how often it was asked for."""

    guid: str
    delivery_id: int
    event: str
    action: str | None
    status: str
    failed_at: datetime
    asked: int = 0


_R = MISSING.c
_SHOWN = (_R.guid, _R.delivery_id, _R.event, _R.action, _R.status, _R.failed_at, _R.asked)
_WAITING = _R.state == "waiting"
_NEW = insert(MISSING)
_FAILED = _NEW.on_conflict_do_update(
    index_elements=["guid"],
    set_={name: _NEW.excluded[name] for name in ("delivery_id", "status", "failed_at")},
    where=_WAITING & (_NEW.excluded.failed_at > _R.failed_at),
)
_ARRIVED = _NEW.on_conflict_do_update(index_elements=["guid"], set_={"state": "arrived"})
_HERE = update(MISSING).where(_WAITING, exists().where(t.deliveries.c.guid == _R.guid)).values(state="arrived")


async def place(connection: AsyncConnection) -> Place:
    """Where the next reading of the log begins."""
    log = LOG.c
    row = (await connection.execute(select(log.read_to, log.read_at, log.newest, log.cursor))).first()
    return Place(*row) if row else Place()


async def save_place(connection: AsyncConnection, place: Place) -> None:
    """Remember where the next reading begins."""
    values = asdict(place)
    statement = insert(LOG).values(id=1, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


async def failed(connection: AsyncConnection, missing: Sequence[Missing], now: datetime) -> None:
    """Note what failed; older news of a GUID, or news of one that arrived or was given up, changes nothing."""
    if missing:
        rows = [{**{c.name: getattr(one, c.name) for c in _SHOWN}, "ask_at": now} for one in missing]
        await connection.execute(_FAILED, rows)


async def arrived(connection: AsyncConnection, guids: Collection[str], again: Sequence[Missing]) -> None:
    """Note what arrived. Of those `again`, which were sent more than once, an attempt that failed may yet be read."""
    if guids:
        await connection.execute(update(MISSING).where(_R.guid.in_(guids)).values(state="arrived"))
    if again:
        rows = [
            {**{c.name: getattr(one, c.name) for c in _SHOWN}, "ask_at": one.failed_at, "state": "arrived"}
            for one in again
        ]
        await connection.execute(_ARRIVED, rows)


async def found_here(connection: AsyncConnection) -> int:
    """What waits and is among the deliveries that we have did arrive, whatever GitHub says; gives how many."""
    return (await connection.execute(_HERE)).rowcount


async def give_up(connection: AsyncConnection, tries: int, now: datetime) -> list[Missing]:
    """Park those that failed again although they were asked for so often; gives them."""
    statement = update(MISSING).where(_WAITING, _R.ask_at <= now, _R.asked >= tries).values(state="parked")
    return [Missing(*row) for row in await connection.execute(statement.returning(*_SHOWN))]


async def park(connection: AsyncConnection, guid: str, status: str) -> None:
    """GitHub cannot be asked for this one any more."""
    await connection.execute(update(MISSING).where(_R.guid == guid).values(state="parked", status=status))


async def to_ask(connection: AsyncConnection, now: datetime, limit: int) -> list[Missing]:
    """Those whose turn it is, the oldest first: GitHub forgets them first."""
    query = select(*_SHOWN).where(_WAITING, _R.ask_at <= now).order_by(_R.failed_at, _R.delivery_id).limit(limit)
    return [Missing(*row) for row in await connection.execute(query)]


async def asked(connection: AsyncConnection, guid: str, times: int, again_at: datetime) -> None:
    """It was asked for so often now, and is again at this time if it does not come."""
    await connection.execute(update(MISSING).where(_R.guid == guid).values(asked=times, ask_at=again_at))


async def unpark(connection: AsyncConnection, since: datetime, asked: int, now: datetime) -> int:
    """Those that were given up, and failed since then, get one more chance; gives how many."""
    statement = update(MISSING).where(_R.state == "parked", _R.failed_at >= since)
    return (await connection.execute(statement.values(state="waiting", asked=asked, ask_at=now))).rowcount


async def prune(connection: AsyncConnection, before: datetime) -> None:
    """Drop what GitHub no longer has."""
    await connection.execute(delete(MISSING).where(_R.failed_at < before))


async def figures(connection: AsyncConnection, now: datetime) -> dict[str, float]:
    """What operators see of all this, by the names of the metrics."""
    counts = select(
        func.count().filter(_WAITING),
        func.count().filter(_WAITING, _R.asked >= 2),
        func.count().filter(_R.state == "parked"),
        func.coalesce(func.sum(_R.asked), 0),
    )
    [(waiting, repeatedly, parked, asked_for)] = await connection.execute(counts)
    read_at = (await connection.execute(select(LOG.c.read_at))).scalar_one_or_none()
    return {
        "deliveries_missing": waiting,
        "deliveries_missing_repeatedly": repeatedly,
        "deliveries_given_up": parked,
        "redeliveries_asked": asked_for,
        "delivery_log_behind_seconds": (now - read_at).total_seconds() if read_at else 0,
    }
