"""Finds label and state changes by people whose webhooks were lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.audit.events import Event, EventType
from core.task.actor import Actor
from core.task.model import Flag

SKEW = timedelta(seconds=5)  # GitHub's clock and ours may differ by this much
_SECOND = timedelta(seconds=1)  # GitHub's clock ticks in seconds


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A label added (`added`) or removed; or, without a label, the issue closed or reopened (`added`).

    `can_write` says that the actor has write access *and* that the present text existed at that time, so that an actor
    who marks it as work to do can have read it.
    """

    actor: Actor
    at: datetime
    label: str = ""
    added: bool = False
    can_write: bool = False


def missed_changes(deeds: Sequence[LabelChange], trail: Sequence[Event]) -> tuple[LabelChange, ...]:
    """The changes that the task's audit log does not have and that no later change supersedes.

    `trail` is the end of the task's audit log, from the time of the first change. The rules check later instructions
    when they apply a change (`core.commands.ordering`).
    """
    told = [event for event in trail if event.type is EventType.INSTRUCTION]
    news = []
    for deed in deeds:
        known = next((event for event in told if _tells(event, deed)), None)
        if known is not None:
            told.remove(known)  # each event matches one change: the same change may happen again
        elif not any(_overtakes(event, deed) for event in trail):
            news.append(deed)
    return tuple(news)


def superseded(deed: LabelChange, trail: Sequence[Event]) -> bool:
    """Whether the event is late: the change was already found, or the bot has added the label since."""
    since = [event for event in trail if event.occurred_at >= deed.at + _SECOND]
    found = any(event.type is EventType.INSTRUCTION and _tells(event, deed) for event in since)
    return found or any(_overtakes(event, deed) for event in since)


def _tells(event: Event, deed: LabelChange) -> bool:
    said = (event.actor, str(event.payload.get("label", "")).casefold(), event.payload.get("added"))
    same = said == (deed.actor.login, deed.label.casefold(), deed.added)
    return same and event.occurred_at >= deed.at - SKEW


def _overtakes(event: Event, deed: LabelChange) -> bool:
    """Whether the bot has added the label again since, for another reason."""
    if not deed.label or event.occurred_at < deed.at + _SECOND:
        return False
    label = deed.label.casefold()
    if label in set(Flag) - {Flag.BLOCKED}:  # for all others the task knows the last instruction
        was, now = event.changes.get("flags", (None, None))
        return label in (now or ()) and label not in (was or ())
    return False
