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


async def save(
    connection: AsyncConnection, before: Task | None, after: Task, events: Sequence[Event], now: datetime
) -> None:
    """The rows of a task's calls, as they are after a decision with these events."""
    previous, current = (before.escalation if before else None), after.escalation
    if previous == current:
        return
    if previous and (current is None or previous.key != current.key):
        resolution = next(
            (event.payload.get("how") for event in events if event.type is EventType.ESCALATION_ENDED), "fixed"
        )
        await connection.execute(_update_open(after, previous).values(ended_at=now, resolution=resolution))
    if current is None:
        return
    if previous is None or previous.key != current.key:
        identity = {
            "repository_id": after.repository_id,
            "task": after.number,
            "key": current.key,
            "cause": current.cause.value,
        }
        await connection.execute(t.escalations.insert().values(**identity, raised_at=current.since, **_values(current)))
    else:
        await connection.execute(_update_open(after, current).values(**_values(current)))


def _update_open(task: Task, escalation: Escalation) -> Any:
    e = t.escalations.c
    return update(t.escalations).where(
        e.repository_id == task.repository_id, e.task == task.number, e.key == escalation.key, e.ended_at.is_(None)
    )


def _values(escalation: Escalation) -> dict[str, Any]:
    return {
        "reason": escalation.reason,
        "attempted": list(escalation.attempted),
        "steps": list(escalation.suggestions),
        "notified": list(escalation.notified),
        "delivered_at": escalation.delivered_at,
        "next_at": escalation.next_at,
        "acknowledged_at": escalation.acknowledged_at,
        "acknowledged_by": escalation.acknowledged_by or None,
    }
