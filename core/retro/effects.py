"""Defines the effects of retrospectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.effects.priority import SendPriority
from core.task.model import Actor


@dataclass(frozen=True, slots=True)
class PublishRetrospective:
    """The issue of a retrospective exists and shows it as it is when this is sent, like a task's card."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.DIGEST
    retrospective: str  # its key
    number: int = 0

    @property
    def key(self) -> str:
        """One per retrospective."""
        return f"retrospective:{self.retrospective}"


@dataclass(frozen=True, slots=True)
class OpenTask:
    """An action item of a retrospective is an issue and a task, created once and approved by the user who ticked it."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.END
    retrospective: str  # its key
    action: str  # its id
    by: Actor  # had write access when they ticked it
    number: int = 0

    @property
    def key(self) -> str:
        """One per action item."""
        return f"action:{self.retrospective}:{self.action}"
