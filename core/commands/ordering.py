"""What people say of one thing one after the other: the later written word holds, in whatever order the news come.

A slash command has the time of its comment, a label that of the issue when it was put on or taken off, both by GitHub's
clock, in seconds. Of two words in one second the one that arrives later holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.task.labels import capability_in, kind_in, priority_in
from core.task.model import Flag, Task

PRIORITY = "priority"
CLOCKS = timedelta(seconds=5)  # by which our clock may be ahead of GitHub's
Topics = tuple[str, ...]  # what a word speaks of, as far as people can contradict each other about it
_OF_COMMANDS: Mapping[str, Topics] = {
    "priority": (PRIORITY,),
    **dict.fromkeys(("block", "unblock"), ("blocked",)),
    **dict.fromkeys(("pause", "resume"), ("paused",)),
}


def topics_of_label(label: str, own_words: Mapping[str, str], *, added: bool) -> Topics:
    """What a label speaks of that was put on (`added`) or taken off; `own_words` are the team's priorities."""
    if label.casefold() == Flag.BLOCKED:
        return ("blocked",) if added else ("blocked", "paused")  # taken off, it lifts either
    if priority_in(frozenset({label}), own_words):
        return (PRIORITY,)
    if kind_in(label):
        return ("kind",)
    return (f"needs:{capability}",) if (capability := capability_in(label)) else ()


def topics_of_command(name: str, argument: str) -> Topics:
    """What a command speaks of."""
    if name == "needs":
        return (f"needs:{argument.strip().strip('`').lower()}",)
    return _OF_COMMANDS.get(name, ())


def is_superseded(task: Task, topics: Topics, at: datetime | None) -> bool:
    """Whether a later word on this was heard already. `at` None is now: a button."""
    return at is not None and any(at < task.said[topic] for topic in topics if topic in task.said)


def record_instruction(task: Task, topics: Topics, at: datetime) -> Task:
    """The task that has heard a word of this time."""
    return replace(task, said={**task.said, **dict.fromkeys(topics, at)}) if topics else task


def clicked_at(heard: datetime) -> datetime:
    """The time of a button's word, of which GitHub tells none: by our clock, and no later than it may be by GitHub's.

    Or a command that is written right afterwards would count as the earlier word.
    """
    return (heard - CLOCKS).replace(microsecond=0)
