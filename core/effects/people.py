"""Defines effects that notify people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, get_args

from config.escalation import ChannelName
from core.effects.priority import SendPriority

CHANNELS: tuple[ChannelName, ...] = get_args(ChannelName)


@dataclass(frozen=True, slots=True)
class Escalate:
    """A comment that mentions people; those that can be assigned are assigned to the issue."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.ANSWER
    number: int
    escalation_key: str  # `Escalation.key`
    notification_number: int  # counts from 1
    body: str
    assignees: tuple[str, ...]  # logins; empty for a reminder
    since: datetime  # when the cause arose, or the previous notification was made

    @property
    def key(self) -> str:
        """One per call of an escalation."""
        return f"call:{self.number}:{self.escalation_key}:{self.notification_number}"


@dataclass(frozen=True, slots=True)
class Notify:
    """A message on an alert channel. Each channel has its own row, so that none waits for another."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.ANSWER
    number: int  # of the task; 0: about the repository as a whole
    channel: ChannelName
    topic: str  # distinguishes messages about the task: `Escalation.key` and the call
    title: str  # one line
    text: str  # Markdown, cleaned
    since: datetime  # when the cause arose
    url: str = ""  # where to act
    attempted: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    escalation_key: str = ""  # `Escalation.key`, if it belongs to one

    @property
    def key(self) -> str:
        """One per channel, task and topic."""
        return f"notify:{self.channel}:{self.number}:{self.topic}"
