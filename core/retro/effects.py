"""Defines the effects of retrospectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.effects.priority import SendPriority
from core.task.model import Actor


@dataclass(frozen=True, slots=True)
class PublishRetrospective:
    """The issue of a retrospective exists and shows it as it is when this is sent, like a task's card."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.DIGEST
    retrospective_key: str  # its key
    number: int = 0

    @property
    def key(self) -> str:
        """One per retrospective."""
        return f"retrospective:{self.retrospective_key}"


@dataclass(frozen=True, slots=True)
class OpenTask:
    """An action item of a retrospective is an issue and a task, created once and approved by the user who ticked it."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.COMPLETION
    retrospective_key: str  # its key
    action_id: str  # its id
    actor: Actor  # had write access when they ticked it
    number: int = 0

    @property
    def key(self) -> str:
        """One per action item."""
        return f"action:{self.retrospective_key}:{self.action_id}"
