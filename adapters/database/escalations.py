"""Calls for a person as rows: written in the transaction of the change, and kept for ever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from core.audit.events import Event, EventType
from core.escalation.model import Escalation
from core.task.model import Task


async def keep(
    connection: AsyncConnection, before: Task | None, after: Task, events: Sequence[Event], now: datetime
) -> None:
    """The rows of a task's calls, as they are after a decision with these events."""
    was, call = (before.escalation if before else None), after.escalation
    if was == call:
        return
    if was and (call is None or was.key != call.key):
        how = next((e.payload.get("how") for e in events if e.type is EventType.ESCALATION_ENDED), "mended")
        await connection.execute(_open(after, was).values(ended_at=now, how=how))
    if call is None:
        return
    if was is None or was.key != call.key:
        fixed = {"repository_id": after.repository_id, "task": after.number, "key": call.key, "cause": call.cause.value}
        await connection.execute(t.escalations.insert().values(**fixed, raised_at=call.since, **_values(call)))
    else:
        await connection.execute(_open(after, call).values(**_values(call)))


def _open(task: Task, call: Escalation) -> Any:
    e = t.escalations.c
    return update(t.escalations).where(
        e.repository_id == task.repository_id, e.task == task.number, e.key == call.key, e.ended_at.is_(None)
    )


def _values(call: Escalation) -> dict[str, Any]:
    return {
        "reason": call.reason,
        "tried": list(call.tried),
        "steps": list(call.steps),
        "called": list(call.called),
        "delivered_at": call.delivered_at,
        "next_at": call.next_at,
        "acknowledged_at": call.acknowledged_at,
        "acknowledged_by": call.acknowledged_by or None,
    }
