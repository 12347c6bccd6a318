"""What is heard of people who were called; `core.signals.base` has them with all other signals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.task.actor import Actor


@dataclass(frozen=True, slots=True)
class EscalationDelivered:
    """A call reached GitHub (`comment_id`) or a channel."""

    escalation: str  # `Escalation.key`
    at: datetime
    comment_id: int | None = None


@dataclass(frozen=True, slots=True)
class EscalationAnswered:
    """Somebody wrote below the task, or reacted to a call. It counts from whoever was called, or may write."""

    actor: Actor
    permission: str
    how: str  # answer | reaction
