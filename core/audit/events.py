"""Defines the events of the audit log, which are written in the transaction of the change they record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """The types of events in the audit log, each with its meaning."""

    TASK_CREATED = "task_created"  # An issue became a task.
    TASK_EDITED = "task_edited"  # The text of a task changed.
    TASK_CHANGED = "task_changed"  # A field changed that has no event of its own; `changes` says which.
    TASK_RESTORED = "task_restored"  # A task was restored from GitHub into an empty database.
    TASK_READY = "task_ready"  # A task passed its readiness check.
    TASK_UNREADY = "task_unready"  # A task no longer passes its readiness check.
    TASK_ASSIGNED = "task_assigned"  # An agent was assigned for an attempt.
    TASK_ACKNOWLEDGED = "task_acknowledged"  # The agent showed its first sign of life on the attempt.
    TASK_REASSIGNED = "task_reassigned"  # The task went to an agent again after an earlier attempt.
    TASK_PLANNED = "task_planned"  # An agent handed in a plan.
    TASK_REVIEW = "task_review"  # A pull request is ready for review.
    REVIEW_ASSIGNED = "review_assigned"  # An agent was assigned to review the pull request.
    TASK_REVIEWED = "task_reviewed"  # An agent's review arrived.
    TASK_SENT_BACK = "task_sent_back"  # An attempt ended without being merged; the payload has the outcome.
    TASK_COMPLETED = "task_completed"  # The task is done.
    TASK_FAILED = "task_failed"  # The task failed: attempts are used up, or a person gave it up.
    TASK_PARKED = "task_parked"  # The queue was full; the task waits outside of it.
    TASK_UNPARKED = "task_unparked"  # The task entered the queue after it had waited outside.
    TASK_REOPENED = "task_reopened"  # A finished task was opened again.
    TASK_RELEASED = "task_released"  # The agent gave the task back, or a person took it back.
    AGENT_REGISTERED = "agent_registered"  # A person added an agent with `/agents`.
    AGENT_CHANGED = "agent_changed"  # A person changed the settings of an agent.
    AGENT_DRAINED = "agent_drained"  # An agent gets no new tasks; it finishes those in hand.
    AGENT_RESUMED = "agent_resumed"  # A drained agent gets tasks again.
    AGENT_REMOVED = "agent_removed"  # A person removed an agent.
    AGENT_FAILED = "agent_failed"  # An agent stopped responding or failed to start.
    AGENT_RECOVERED = "agent_recovered"  # An agent that had failed responds again.
    CONFLICT_DETECTED = "conflict_detected"  # A pull request conflicts with its base or with another pull request.
    CONFLICT_RESOLVED = "conflict_resolved"  # A conflict is gone, or a person decided on it.
    ESCALATED = "escalated"  # A person was notified.
    ACKNOWLEDGED = "acknowledged"  # A person answered an escalation.
    ESCALATION_ENDED = "escalation_ended"  # The cause of an escalation is gone.
    TASK_STALLED = "task_stalled"  # A task makes no progress; the payload has the cause.
    STALL_STEP_TAKEN = "stall_step_taken"  # The next step against a stall was taken.
    STALL_ENDED = "stall_ended"  # A stalled task makes progress again.
    PROGRESS_POSTED = "progress_posted"  # The digest was written.
    RETROSPECTIVE_HELD = "retrospective_held"  # A retrospective was opened as an issue.
    COMMAND_RUN = "command_run"  # A person gave a command.
    INSTRUCTION = "instruction"  # A person instructed the bot through a label or by closing the issue.
    LATE_RESULT = "late_result"  # A result of an attempt that is over arrived.
    MERGE_REQUESTED = "merge_requested"  # The bot asked GitHub to merge the pull request.


# The events that begin an attempt; they say which agent got it and why.
ASSIGNMENTS = (EventType.TASK_ASSIGNED, EventType.TASK_REASSIGNED, EventType.REVIEW_ASSIGNED)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the audit log."""

    type: EventType
    task: int
    occurred_at: datetime
    agent: str | None = None
    attempt: int | None = None
    actor: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)  # of the task: field → [was, is]; see `core.audit.chain`
