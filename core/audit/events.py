"""The audit trail: what happened, once and for ever. Written in the transaction of the change it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """The types of the audit trail."""

    TASK_CREATED = "task_created"
    TASK_EDITED = "task_edited"
    TASK_CHANGED = "task_changed"
    TASK_REBUILT = "task_rebuilt"
    TASK_READY = "task_ready"
    TASK_UNREADY = "task_unready"
    TASK_ASSIGNED = "task_assigned"
    TASK_ACKNOWLEDGED = "task_acknowledged"
    TASK_REASSIGNED = "task_reassigned"
    TASK_PLANNED = "task_planned"
    TASK_REVIEW = "task_review"
    REVIEW_ASSIGNED = "review_assigned"
    TASK_REVIEWED = "task_reviewed"
    TASK_SENT_BACK = "task_sent_back"
    TASK_COMPLETED = "task_completed"
    TASK_FAILED = "task_failed"
    TASK_PARKED = "task_parked"
    TASK_UNPARKED = "task_unparked"
    TASK_REOPENED = "task_reopened"
    TASK_RELEASED = "task_released"
    AGENT_REGISTERED = "agent_registered"
    AGENT_CHANGED = "agent_changed"
    AGENT_DRAINED = "agent_drained"
    AGENT_RESUMED = "agent_resumed"
    AGENT_REMOVED = "agent_removed"
    AGENT_FAILED = "agent_failed"
    AGENT_RECOVERED = "agent_recovered"
    CONFLICT_DETECTED = "conflict_detected"
    CONFLICT_RESOLVED = "conflict_resolved"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    ESCALATION_ENDED = "escalation_ended"
    TASK_STALLED = "task_stalled"
    STALL_CLIMBED = "stall_climbed"
    STALL_ENDED = "stall_ended"
    PROGRESS_POSTED = "progress_posted"
    RETROSPECTIVE_HELD = "retrospective_held"
    COMMAND_RUN = "command_run"
    INSTRUCTION = "instruction"
    LATE_RESULT = "late_result"
    MERGE_REQUESTED = "merge_requested"


# By which an attempt begins; they carry whom it went to, and why.
ASSIGNMENTS = (EventType.TASK_ASSIGNED, EventType.TASK_REASSIGNED, EventType.REVIEW_ASSIGNED)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail."""

    type: EventType
    task: int
    occurred_at: datetime
    agent: str | None = None
    attempt: int | None = None
    actor: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the task: field → [was, is]; see `core.audit.chain`
