"""Chains the events of the audit log by hash and replays tasks from them.

The events of a repository form a chain: each hash is made from the event and the previous hash, so nothing can be
changed, removed or inserted without breaking all later hashes. The last event of a decision says how the decision
changed its task (`changes`); replaying these yields the present task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.audit.events import Event, EventType
from core.task.model import Task

FIRST = ""  # the hash before the first event of a repository

Shape = Mapping[str, Any]  # the fields of a task that the audit log accounts for


class BrokenTrailError(Exception):
    """The audit log contradicts what is stored; the message says where."""


def canonical_task(task: Task | None) -> dict[str, Any]:
    """The fields of a task that the audit log accounts for, as plain JSON values; None and false are left out."""
    if task is None:
        return {}
    lease, review, pull = task.lease, task.review, task.pull
    told: dict[str, Any] = {
        "status": task.status.value,
        "priority": task.priority.value,
        "kind": task.kind.value,
        "attempt": task.attempt,
        "agent": lease.agent if lease else None,
        "role": lease.role.value if lease else None,
        "reviewer": review.agent if review else None,
        "pull": pull.number if pull else None,
        "merged": bool(pull and pull.merged),
        "flags": sorted(flag.value for flag in task.flags),
        "held": task.held is not None,
        "withdrawn": task.withdrawn,
    }
    return {name: value for name, value in told.items() if value not in (None, False, [], 0)}


def changes(before: Task | None, after: Task | None) -> dict[str, list[Any]]:
    """How a decision changed its task: by field, the old and the new value."""
    was, now = canonical_task(before), canonical_task(after)
    return {name: [was.get(name), now.get(name)] for name in sorted({*was, *now}) if was.get(name) != now.get(name)}


def events_with_changes(events: tuple[Event, ...], before: Task | None, after: Task | None) -> tuple[Event, ...]:
    """The events of a decision, the last one with the change of the task; one is added if there is none."""
    made = changes(before, after)
    if not made or after is None:
        return events
    mine = [at for at, event in enumerate(events) if event.task == after.number]
    if not mine:
        agent = after.lease.agent if after.lease else None
        line = Event(EventType.TASK_CHANGED, after.number, events[-1].occurred_at if events else after.issue_updated_at)
        return (*events, replace(line, agent=agent, attempt=after.attempt or None, changes=made))
    at = mine[-1]
    return (*events[:at], replace(events[at], changes=made), *events[at + 1 :])


def chain_hash(previous: str, repository_id: int, event: Event) -> str:
    """The hash of an event that follows the hash `previous`: SHA-256 over its canonical JSON, in hexadecimal."""
    said = {
        "previous": previous,
        "repository": repository_id,
        "type": event.type.value,
        "task": event.task,
        "agent": event.agent,
        "attempt": event.attempt,
        "actor": event.actor,
        "payload": event.payload,
        "changes": event.changes,
        "occurred_at": round(event.occurred_at.timestamp() * 1_000_000),
    }
    return hashlib.sha256(canonical(said).encode("utf-8", "surrogatepass")).hexdigest()


def canonical(value: Any) -> str:
    """The canonical JSON text of a value, independent of how a database writes numbers."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # PostgreSQL keeps 2.0 and 2, but rewrites -0.0 and 1e22
    return value


def replay(before: Shape, event: Event) -> dict[str, Any]:
    """The task after this event. Raises BrokenTrailError if the event changes a value that the task did not have."""
    now = dict(before)
    for name, (was, is_) in event.changes.items():
        if now.get(name) != was:
            raise BrokenTrailError(
                f"#{event.task}: the entry says that `{name}` was {was!r}, but it was {now.get(name)!r}"
            )
        if is_ is None:
            now.pop(name, None)
        else:
            now[name] = is_
    return now
