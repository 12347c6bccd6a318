"""What people did to an issue without our hearing of it: what of it is news, and what was told or overtaken before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.audit.events import Event, EventType
from core.task.actor import Actor
from core.task.model import Flag

SKEW = timedelta(seconds=5)  # that GitHub's clock and ours may be apart
_SECOND = timedelta(seconds=1)  # GitHub's clock ticks in seconds


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A label put on (`added`) or taken off; or, without a label, the issue closed, or reopened (`added`).

    `can_write` tells that the actor may write *and* that the text as it is now was there already, so that who says of
    it that this is work to do can have read it.
    """

    actor: Actor
    at: datetime
    label: str = ""
    added: bool = False
    can_write: bool = False


def missed_changes(deeds: Sequence[LabelChange], trail: Sequence[Event]) -> tuple[LabelChange, ...]:
    """Those of a task's deeds that its trail does not tell of, and that nothing has overtaken since.

    `trail` is the end of the task's audit trail, from the time of the first deed on. Whether somebody said otherwise
    since, the rules see when they take a deed in (`core.commands.ordering`).
    """
    told = [event for event in trail if event.type is EventType.INSTRUCTION]
    news = []
    for deed in deeds:
        known = next((event for event in told if _tells(event, deed)), None)
        if known is not None:
            told.remove(known)  # each line tells of one deed: the same may be done again
        elif not any(_overtakes(event, deed) for event in trail):
            news.append(deed)
    return tuple(news)


def superseded(deed: LabelChange, trail: Sequence[Event]) -> bool:
    """Whether the news of a deed comes late: it was found in another way, or the bot has put the label on since."""
    since = [event for event in trail if event.occurred_at >= deed.at + _SECOND]
    found = any(event.type is EventType.INSTRUCTION and _tells(event, deed) for event in since)
    return found or any(_overtakes(event, deed) for event in since)


def _tells(event: Event, deed: LabelChange) -> bool:
    said = (event.actor, str(event.payload.get("label", "")).casefold(), event.payload.get("added"))
    same = said == (deed.actor.login, deed.label.casefold(), deed.added)
    return same and event.occurred_at >= deed.at - SKEW


def _overtakes(event: Event, deed: LabelChange) -> bool:
    """Whether the bot has put the label on again since, for another reason."""
    if not deed.label or event.occurred_at < deed.at + _SECOND:
        return False
    label = deed.label.casefold()
    if label in set(Flag) - {Flag.BLOCKED}:  # of all else the task itself knows when people last spoke of it
        was, now = event.changes.get("flags", (None, None))
        return label in (now or ()) and label not in (was or ())
    return False
