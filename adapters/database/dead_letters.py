"""What was given up, of every kind; and sending it again. On a connection that the caller's transaction owns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.jobs import JobQueue, delivery_job, send_job
from core.dead_letter import DeadLetter
from core.effects.base import Notify, StartAgent
from core.text_safety.sanitize import mask_secrets, one_line

MAX_LISTED = 100  # of each kind that is listed of one repository
MAX_PARSED_BYTES = 200_000  # bytes of a delivery; a larger one is not read only to see which issue it is about
# A start that was given up ended its attempt with it: to send it now would wake an agent for no attempt.
_NOT_RETRYABLE = (StartAgent.__name__,)

_o, _d, _m = t.outbox.c, t.deliveries.c, t.undelivered_webhooks.c
_DEAD_EFFECT = _o.state == "dead"
_DEAD_DELIVERY = (_d.handled_at.is_not(None), _d.error.is_not(None))
_DEAD_WEBHOOK = _m.state == "dead"


async def count_dead_letters(connection: AsyncConnection) -> tuple[int, int, int]:
    """How many effects, messages on channels among them, and deliveries were given up."""
    effects = select(func.count(), func.count().filter(_o.kind == Notify.__name__)).where(_DEAD_EFFECT)
    [(effect_count, message_count)] = await connection.execute(effects)
    deliveries = (await connection.execute(select(func.count()).where(*_DEAD_DELIVERY))).scalar_one()
    return effect_count, message_count, deliveries


async def repository_dead_letters(connection: AsyncConnection, repository_id: int) -> tuple[DeadLetter, ...]:
    """What was given up in a repository and can be sent again, oldest first, at most `MOST` of each kind."""
    effects = await _dead_effects(connection, _o.repository_id == repository_id, _o.kind.not_in(_NOT_RETRYABLE))
    deliveries = await _dead_deliveries(connection, _d.repository_id == repository_id)
    return tuple(sorted((*effects, *deliveries), key=lambda dead_letter: dead_letter.created_at))


async def task_dead_letters(connection: AsyncConnection, repository_id: int, number: int) -> tuple[DeadLetter, ...]:
    """The same, for one task."""
    return tuple(
        dead_letter
        for dead_letter in await repository_dead_letters(connection, repository_id)
        if dead_letter.number == number
    )


async def all_dead_letters(connection: AsyncConnection) -> list[DeadLetter]:
    """All that was given up anywhere, oldest first; what never came among it, which belongs to no repository yet."""
    rows = await connection.execute(select(t.undelivered_webhooks).where(_DEAD_WEBHOOK))
    webhooks = [
        DeadLetter(
            row.guid,
            _describe_event("never came: ", row.event, row.action),
            None,
            row.attempts,
            one_line(row.status, 300),
            row.failed_at,
        )
        for row in rows
    ]
    dead_letters = [*await _dead_effects(connection), *await _dead_deliveries(connection), *webhooks]
    return sorted(dead_letters, key=lambda dead_letter: dead_letter.created_at)


async def _dead_effects(connection: AsyncConnection, *where: Any) -> list[DeadLetter]:
    columns = (_o.id, _o.issue_number, _o.kind, _o.key, _o.payload, _o.attempts, _o.error, _o.created_at)
    query = (
        select(*columns, t.repositories.c.full_name)
        .join(t.repositories, t.repositories.c.id == _o.repository_id)
        .where(_DEAD_EFFECT, *where)
        .order_by(_o.id.desc())
    )
    return [
        DeadLetter(
            id=str(row.id),
            subject=_describe_effect(row.kind, row.key, row.payload),
            number=row.issue_number or None,
            attempts=row.attempts,
            error=_clean_error(row.error),
            created_at=row.created_at,
            repository=row.full_name,
        )
        for row in await connection.execute(query.limit(MAX_LISTED) if where else query)
    ]


async def _dead_deliveries(connection: AsyncConnection, *where: Any) -> list[DeadLetter]:
    payload = case((func.octet_length(_d.payload) <= MAX_PARSED_BYTES, _d.payload)).label("payload")
    columns = (_d.guid, _d.event, _d.action, _d.attempts, _d.error, _d.received_at, payload)
    query = (
        select(*columns, t.repositories.c.full_name)
        .outerjoin(t.repositories, t.repositories.c.id == _d.repository_id)
        .where(*_DEAD_DELIVERY, *where)
        .order_by(_d.received_at.desc())
    )
    return [
        DeadLetter(
            id=row.guid,
            subject=_describe_event("delivery ", row.event, row.action),
            number=_issue_number(row.payload),
            attempts=row.attempts,
            error=_clean_error(row.error),
            created_at=row.received_at,
            repository=row.full_name or "",
        )
        for row in await connection.execute(query.limit(MAX_LISTED) if where else query)
    ]


def _describe_effect(kind: str, key: str, payload: Mapping[str, Any]) -> str:
    if kind == Notify.__name__:
        return one_line(f"{payload['channel']}: {payload['title']}", 200)
    return one_line(f"{kind} {key}", 200)


def _describe_event(prefix: str, event: str, action: str | None) -> str:
    return prefix + one_line(f"{event}.{action}" if action else event, 100)


def _clean_error(error: str | None) -> str:
    return one_line(mask_secrets(error or ""), 300)


def _issue_number(payload: bytes | None) -> int | None:
    """The issue or pull request that a delivery is about."""
    try:
        data = json.loads(payload or b"{}")
    except ValueError:
        return None
    for name in ("issue", "pull_request"):
        subject = data.get(name) if isinstance(data, dict) else None
        if isinstance(subject, dict) and isinstance(subject.get("number"), int):
            return int(subject["number"])
    return None


async def retry_all(
    connection: AsyncConnection, jobs: JobQueue, now: datetime, dead_letter_id: str | None, *, include_all: bool
) -> int:
    """Let them be tried again by the running bot: this one, `every` one, or the messages on channels; gives how many.

    Nothing is found for one that is not there, or that is never sent again.
    """
    effects = update(t.outbox).where(_DEAD_EFFECT, _o.kind.not_in(_NOT_RETRYABLE))
    deliveries = update(t.deliveries).where(*_DEAD_DELIVERY)
    webhooks = update(t.undelivered_webhooks).where(_DEAD_WEBHOOK)
    if dead_letter_id is not None:
        number = (
            int(dead_letter_id)
            if dead_letter_id.isascii() and dead_letter_id.isdigit() and len(dead_letter_id) < 19
            else -1
        )
        effects = effects.where(_o.id == number)
        deliveries, webhooks = deliveries.where(_d.guid == dead_letter_id), webhooks.where(_m.guid == dead_letter_id)
    elif not include_all:
        effects = effects.where(_o.kind == Notify.__name__)
    # One attempt is counted already, so that the next one first looks whether the effect was carried out after all.
    reset_effects = effects.values(state="pending", attempts=1, not_before=None, error=None)
    rows = (await connection.execute(reset_effects.returning(_o.repository_id, _o.issue_number, _o.channel))).all()
    keys = sorted({tuple(row) for row in rows}, key=lambda key: (key[0], key[1] or 0, key[2] or ""))
    await jobs.defer_all(connection, [send_job(*key) for key in keys])
    if dead_letter_id is None and not include_all:
        return len(rows)
    reset_deliveries = deliveries.values(handled_at=None, attempts=0, error=None).returning(_d.guid, _d.ordering_key)
    delivery_rows = (await connection.execute(reset_deliveries)).all()
    await jobs.defer_all(connection, [delivery_job(row.ordering_key) for row in delivery_rows])
    webhook_rows = await connection.execute(
        webhooks.values(state="pending", attempts=0, next_attempt_at=now).returning(_m.guid)
    )
    return len(rows) + len(delivery_rows) + len(webhook_rows.all())


async def discard(connection: AsyncConnection, dead_letter_id: str) -> bool:
    """A person has looked, and it is not to be done any more."""
    if dead_letter_id.isascii() and dead_letter_id.isdigit() and len(dead_letter_id) < 19:
        statement = update(t.outbox).where(_DEAD_EFFECT, _o.id == int(dead_letter_id)).values(state="done")
        return (await connection.execute(statement)).rowcount > 0
    delivery_result = await connection.execute(
        update(t.deliveries).where(*_DEAD_DELIVERY, _d.guid == dead_letter_id).values(error=None)
    )
    webhook_result = await connection.execute(
        delete(t.undelivered_webhooks).where(_DEAD_WEBHOOK, _m.guid == dead_letter_id)
    )
    return delivery_result.rowcount + webhook_result.rowcount > 0
