"""Orders instructions on the same topic by when they were written, whatever order they arrive in.

A slash command has the time of its comment, a label the time of the issue when it was added or removed, both by
GitHub's clock in seconds. Of two instructions in the same second the one that arrives later wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.task.labels import capability_from_label, kind_from_label, priority_from_labels
from core.task.model import Flag, Task

PRIORITY = "priority"
MAX_CLOCK_SKEW = timedelta(seconds=5)  # our clock may be ahead of GitHub's by this much
Topics = tuple[str, ...]  # what an instruction is about, as far as instructions can contradict each other
_COMMAND_TOPICS: Mapping[str, Topics] = {
    "priority": (PRIORITY,),
    **dict.fromkeys(("block", "unblock"), ("blocked",)),
    **dict.fromkeys(("pause", "resume"), ("paused",)),
}


def label_topics(label: str, priority_labels: Mapping[str, str], *, added: bool) -> Topics:
    """The topics of a label that was added (`added`) or removed; `priority_labels` are the team's own priorities."""
    if label.casefold() == Flag.BLOCKED:
        return ("blocked",) if added else ("blocked", "paused")  # removing it lifts either
    if priority_from_labels(frozenset({label}), priority_labels):
        return (PRIORITY,)
    if kind_from_label(label):
        return ("kind",)
    return (f"needs:{capability}",) if (capability := capability_from_label(label)) else ()


def command_topics(name: str, argument: str) -> Topics:
    """The topics of a command."""
    if name == "needs":
        return (f"needs:{argument.strip().strip('`').lower()}",)
    return _COMMAND_TOPICS.get(name, ())


def is_superseded(task: Task, topics: Topics, instructed_at: datetime | None) -> bool:
    """Whether a later instruction on these topics was already applied. `instructed_at` None means now: a button."""
    return instructed_at is not None and any(
        instructed_at < task.instruction_times[topic] for topic in topics if topic in task.instruction_times
    )


def record_instruction(task: Task, topics: Topics, instructed_at: datetime) -> Task:
    """The task after an instruction of this time."""
    return (
        replace(task, instruction_times={**task.instruction_times, **dict.fromkeys(topics, instructed_at)})
        if topics
        else task
    )


def clicked_at(received_at: datetime) -> datetime:
    """The time of a button press, which GitHub does not tell: by our clock, minus its possible lead over GitHub's.

    Otherwise a command written right after the press would count as earlier.
    """
    return (received_at - MAX_CLOCK_SKEW).replace(microsecond=0)
