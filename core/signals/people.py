"""Defines signals about the people whom an escalation notifies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.task.actor import Actor


@dataclass(frozen=True, slots=True)
class EscalationDelivered:
    """An escalation's notification reached GitHub (`comment_id`) or an alert channel."""

    escalation_key: str  # `Escalation.key`
    occurred_at: datetime
    comment_id: int | None = None


@dataclass(frozen=True, slots=True)
class EscalationAnswered:
    """A user commented on the task or reacted to a notification; counts if they were notified or may write."""

    actor: Actor
    permission: str
    answer_kind: str  # answer | reaction
