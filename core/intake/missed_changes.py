"""Finds label and state changes by people whose webhooks were lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.audit.events import Event, EventType
from core.task.actor import Actor
from core.task.model import Flag

CLOCK_SKEW = timedelta(seconds=5)  # GitHub's clock and ours may differ by this much
_SECOND = timedelta(seconds=1)  # GitHub's clock ticks in seconds


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A label added (`added`) or removed; or, without a label, the issue closed or reopened (`added`).

    `can_write` says that the actor has write access *and* that the present text existed at that time, so that an actor
    who marks it as work to do can have read it.
    """

    actor: Actor
    occurred_at: datetime
    label: str = ""
    added: bool = False
    can_write: bool = False


def missed_changes(label_changes: Sequence[LabelChange], events: Sequence[Event]) -> tuple[LabelChange, ...]:
    """The changes that the task's audit log does not have and that no later change supersedes.

    `events` are the end of the task's audit log, from the time of the first change. The rules check later instructions
    when they apply a change (`core.commands.ordering`).
    """
    recorded = [event for event in events if event.type is EventType.INSTRUCTION]
    missed = []
    for change in label_changes:
        match = next((event for event in recorded if _records(event, change)), None)
        if match is not None:
            recorded.remove(match)  # each event matches one change: the same change may happen again
        elif not any(_supersedes(event, change) for event in events):
            missed.append(change)
    return tuple(missed)


def superseded(change: LabelChange, events: Sequence[Event]) -> bool:
    """Whether the event is late: the change was already found, or the bot has added the label since."""
    later_events = [event for event in events if event.occurred_at >= change.occurred_at + _SECOND]
    is_recorded = any(event.type is EventType.INSTRUCTION and _records(event, change) for event in later_events)
    return is_recorded or any(_supersedes(event, change) for event in later_events)


def _records(event: Event, change: LabelChange) -> bool:
    recorded = (event.actor, str(event.payload.get("label", "")).casefold(), event.payload.get("added"))
    is_same = recorded == (change.actor.login, change.label.casefold(), change.added)
    return is_same and event.occurred_at >= change.occurred_at - CLOCK_SKEW


def _supersedes(event: Event, change: LabelChange) -> bool:
    """Whether the bot has added the label again since, for another reason."""
    if not change.label or event.occurred_at < change.occurred_at + _SECOND:
        return False
    label = change.label.casefold()
    if label in set(Flag) - {Flag.BLOCKED}:  # for all others the task knows the last instruction
        flags_before, flags_after = event.changes.get("flags", (None, None))
        return label in (flags_after or ()) and label not in (flags_before or ())
    return False
