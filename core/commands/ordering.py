"""Orders instructions on the same topic by when they were written, whatever order they arrive in.

A slash command has the time of its comment, a label the time of the issue when it was added or removed, both by
GitHub's clock in seconds. Of two instructions in the same second the one that arrives later wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.task.labels import capability_in, kind_in, priority_in
from core.task.model import Flag, Task

PRIORITY = "priority"
CLOCKS = timedelta(seconds=5)  # our clock may be ahead of GitHub's by this much
Topics = tuple[str, ...]  # what an instruction is about, as far as instructions can contradict each other
_OF_COMMANDS: Mapping[str, Topics] = {
    "priority": (PRIORITY,),
    **dict.fromkeys(("block", "unblock"), ("blocked",)),
    **dict.fromkeys(("pause", "resume"), ("paused",)),
}


def topics_of_label(label: str, own_words: Mapping[str, str], *, added: bool) -> Topics:
    """The topics of a label that was added (`added`) or removed; `own_words` are the team's priorities."""
    if label.casefold() == Flag.BLOCKED:
        return ("blocked",) if added else ("blocked", "paused")  # removing it lifts either
    if priority_in(frozenset({label}), own_words):
        return (PRIORITY,)
    if kind_in(label):
        return ("kind",)
    return (f"needs:{capability}",) if (capability := capability_in(label)) else ()


def topics_of_command(name: str, argument: str) -> Topics:
    """The topics of a command."""
    if name == "needs":
        return (f"needs:{argument.strip().strip('`').lower()}",)
    return _OF_COMMANDS.get(name, ())


def is_superseded(task: Task, topics: Topics, at: datetime | None) -> bool:
    """Whether a later instruction on these topics was already applied. `at` None means now: a button."""
    return at is not None and any(at < task.said[topic] for topic in topics if topic in task.said)


def record_instruction(task: Task, topics: Topics, at: datetime) -> Task:
    """The task after an instruction of this time."""
    return replace(task, said={**task.said, **dict.fromkeys(topics, at)}) if topics else task


def clicked_at(heard: datetime) -> datetime:
    """The time of a button press, which GitHub does not tell: by our clock, minus its possible lead over GitHub's.

    Otherwise a command written right after the press would count as earlier.
    """
    return (heard - CLOCKS).replace(microsecond=0)
