"""What was given up, of every kind; and sending it again. On a connection that the caller's transaction owns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.jobs import JobQueue, handling, sending
from adapters.database.redeliveries import MISSING
from core.dead_letter import GivenUp
from core.effects.base import Notify, StartAgent
from core.text_safety.sanitize import mask_secrets, one_line

MOST = 100  # of each kind that is listed of one repository
LARGE = 200_000  # bytes of a delivery; a larger one is not read only to see which issue it is about
# A start that was given up ended its attempt with it: to send it now would wake an agent that nobody waits for.
_NEVER_AGAIN = (StartAgent.__name__,)

_o, _d, _m = t.outbox.c, t.deliveries.c, MISSING.c
_EFFECT = _o.state == "parked"
_DELIVERY = (_d.handled_at.is_not(None), _d.error.is_not(None))
_MISSED = _m.state == "parked"


async def counts(connection: AsyncConnection) -> tuple[int, int, int]:
    """How many effects, messages on channels among them, and deliveries were given up."""
    effects = select(func.count(), func.count().filter(_o.kind == Notify.__name__)).where(_EFFECT)
    [(every, messages)] = await connection.execute(effects)
    deliveries = (await connection.execute(select(func.count()).where(*_DELIVERY))).scalar_one()
    return every, messages, deliveries


async def of_repository(connection: AsyncConnection, repository_id: int) -> tuple[GivenUp, ...]:
    """What was given up in a repository and can be sent again, oldest first, at most `MOST` of each kind."""
    effects = await _effects(connection, _o.repository_id == repository_id, _o.kind.not_in(_NEVER_AGAIN))
    deliveries = await _deliveries(connection, _d.repository_id == repository_id)
    return tuple(sorted((*effects, *deliveries), key=lambda one: one.at))


async def of_task(connection: AsyncConnection, repository_id: int, number: int) -> tuple[GivenUp, ...]:
    """The same, for one task."""
    return tuple(one for one in await of_repository(connection, repository_id) if one.number == number)


async def everything(connection: AsyncConnection) -> list[GivenUp]:
    """All that was given up anywhere, oldest first; what never came among it, which belongs to no repository yet."""
    missed = await connection.execute(select(MISSING).where(_MISSED))
    never_came = [
        GivenUp(
            row.guid,
            _event("never came: ", row.event, row.action),
            None,
            row.asked,
            one_line(row.status, 300),
            row.failed_at,
        )
        for row in missed
    ]
    found = [*await _effects(connection), *await _deliveries(connection), *never_came]
    return sorted(found, key=lambda one: one.at)


async def _effects(connection: AsyncConnection, *where: Any) -> list[GivenUp]:
    columns = (_o.id, _o.number, _o.kind, _o.key, _o.payload, _o.tries, _o.error, _o.created_at)
    query = (
        select(*columns, t.repositories.c.full_name)
        .join(t.repositories, t.repositories.c.id == _o.repository_id)
        .where(_EFFECT, *where)
        .order_by(_o.id.desc())
    )
    return [
        GivenUp(
            which=str(row.id),
            what=_what(row.kind, row.key, row.payload),
            number=row.number if row.number > 0 else None,
            tries=row.tries,
            error=_clean(row.error),
            at=row.created_at,
            repository=row.full_name,
        )
        for row in await connection.execute(query.limit(MOST) if where else query)
    ]


async def _deliveries(connection: AsyncConnection, *where: Any) -> list[GivenUp]:
    payload = case((func.octet_length(_d.payload) <= LARGE, _d.payload)).label("payload")
    columns = (_d.guid, _d.event, _d.action, _d.tries, _d.error, _d.received_at, payload)
    query = (
        select(*columns, t.repositories.c.full_name)
        .outerjoin(t.repositories, t.repositories.c.id == _d.repository_id)
        .where(*_DELIVERY, *where)
        .order_by(_d.received_at.desc())
    )
    return [
        GivenUp(
            which=row.guid,
            what=_event("delivery ", row.event, row.action),
            number=_number(row.payload),
            tries=row.tries,
            error=_clean(row.error),
            at=row.received_at,
            repository=row.full_name or "",
        )
        for row in await connection.execute(query.limit(MOST) if where else query)
    ]


def _what(kind: str, key: str, payload: Mapping[str, Any]) -> str:
    if kind == Notify.__name__:
        return one_line(f"{payload['channel']}: {payload['title']}", 200)
    return one_line(f"{kind} {key}", 200)


def _event(before: str, event: str, action: str | None) -> str:
    return before + one_line(f"{event}.{action}" if action else event, 100)


def _clean(error: str | None) -> str:
    return one_line(mask_secrets(error or ""), 300)


def _number(payload: bytes | None) -> int | None:
    """The issue or pull request that a delivery is about."""
    try:
        told = json.loads(payload or b"{}")
    except ValueError:
        return None
    for name in ("issue", "pull_request"):
        about = told.get(name) if isinstance(told, dict) else None
        if isinstance(about, dict) and isinstance(about.get("number"), int):
            return int(about["number"])
    return None


async def again(connection: AsyncConnection, jobs: JobQueue, now: datetime, which: str | None, *, every: bool) -> int:
    """Let them be tried again by the running bot: this one, `every` one, or the messages on channels; gives how many.

    Nothing is found for one that is not there, or that is never sent again.
    """
    effects = update(t.outbox).where(_EFFECT, _o.kind.not_in(_NEVER_AGAIN))
    deliveries = update(t.deliveries).where(*_DELIVERY)
    missed = update(MISSING).where(_MISSED)
    if which is not None:
        number = int(which) if which.isascii() and which.isdigit() and len(which) < 19 else -1
        effects = effects.where(_o.id == number)
        deliveries, missed = deliveries.where(_d.guid == which), missed.where(_m.guid == which)
    elif not every:
        effects = effects.where(_o.kind == Notify.__name__)
    # A try is counted already, so that the next one looks first whether it is in the world after all.
    renewed = effects.values(state="waiting", tries=1, not_before=None, error=None)
    rows = (await connection.execute(renewed.returning(_o.repository_id, _o.number))).all()
    places = sorted({(row.repository_id, row.number) for row in rows})
    await jobs.defer_all(connection, [sending(*place) for place in places])
    if which is None and not every:
        return len(rows)
    handled = deliveries.values(handled_at=None, tries=0, error=None).returning(_d.guid, _d.ordering_key)
    found = (await connection.execute(handled)).all()
    await jobs.defer_all(connection, [handling(row.ordering_key) for row in found])
    asked = await connection.execute(missed.values(state="waiting", asked=0, ask_at=now).returning(_m.guid))
    return len(rows) + len(found) + len(asked.all())


async def forget(connection: AsyncConnection, which: str) -> bool:
    """A person has looked, and it is not to be done any more."""
    if which.isascii() and which.isdigit() and len(which) < 19:
        done = update(t.outbox).where(_EFFECT, _o.id == int(which)).values(state="done")
        return (await connection.execute(done)).rowcount > 0
    told = await connection.execute(update(t.deliveries).where(*_DELIVERY, _d.guid == which).values(error=None))
    gone = await connection.execute(delete(MISSING).where(_MISSED, _m.guid == which))
    return told.rowcount + gone.rowcount > 0
