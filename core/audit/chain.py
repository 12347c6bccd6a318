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

INITIAL_HASH = ""  # the hash before the first event of a repository

CanonicalTask = Mapping[str, Any]  # the fields of a task that the audit log accounts for


class BrokenAuditLogError(Exception):
    """The audit log contradicts what is stored; the message says where."""


def canonical_task(task: Task | None) -> dict[str, Any]:
    """The fields of a task that the audit log accounts for, as plain JSON values; None and false are left out."""
    if task is None:
        return {}
    lease, review, pull = task.lease, task.review_lease, task.pull
    fields: dict[str, Any] = {
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
        "held": task.hold is not None,
        "withdrawn": task.untracked,
    }
    return {name: value for name, value in fields.items() if value not in (None, False, [], 0)}


def task_changes(before: Task | None, after: Task | None) -> dict[str, list[Any]]:
    """How a decision changed its task: by field, the old and the new value."""
    old, new = canonical_task(before), canonical_task(after)
    return {name: [old.get(name), new.get(name)] for name in sorted({*old, *new}) if old.get(name) != new.get(name)}


def events_with_changes(events: tuple[Event, ...], before: Task | None, after: Task | None) -> tuple[Event, ...]:
    """The events of a decision, the last one with the change of the task; one is added if there is none."""
    diff = task_changes(before, after)
    if not diff or after is None:
        return events
    indexes = [index for index, event in enumerate(events) if event.task == after.number]
    if not indexes:
        agent = after.lease.agent if after.lease else None
        change_event = Event(
            EventType.TASK_CHANGED, after.number, events[-1].occurred_at if events else after.issue_updated_at
        )
        return (*events, replace(change_event, agent=agent, attempt=after.attempt or None, changes=diff))
    index = indexes[-1]
    return (*events[:index], replace(events[index], changes=diff), *events[index + 1 :])


def chain_hash(previous: str, repository_id: int, event: Event) -> str:
    """The hash of an event that follows the hash `previous`: SHA-256 over its canonical JSON, in hexadecimal."""
    fields = {
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
    return hashlib.sha256(canonical_json(fields).encode("utf-8", "surrogatepass")).hexdigest()


def canonical_json(value: Any) -> str:
    """The canonical JSON text of a value, independent of how a database writes numbers."""
    return json.dumps(_normalize(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _normalize(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _normalize(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normalize(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # PostgreSQL keeps 2.0 and 2, but rewrites -0.0 and 1e22
    return value


def replay(before: CanonicalTask, event: Event) -> dict[str, Any]:
    """The task after this event. Raises BrokenTrailError if the event changes a value that the task did not have."""
    state = dict(before)
    for name, (old, new) in event.changes.items():
        if state.get(name) != old:
            raise BrokenAuditLogError(
                f"#{event.task}: the entry says that `{name}` was {old!r}, but it was {state.get(name)!r}"
            )
        if new is None:
            state.pop(name, None)
        else:
            state[name] = new
    return state
