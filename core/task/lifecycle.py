"""Defines the life cycle of a task as one table, used by all rules and the documentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from core.task.model import Status, Task


class Trigger(StrEnum):
    """What can move a task from one status to another; the value is its name in the state diagram."""

    MADE_READY = "definition of ready met"
    UNREADY = "edited, no longer ready"
    ASSIGNED = "assigned"
    PLANNED = "plan delivered"
    PULL_OPENED = "pull request opened"
    SENT_BACK = "CI red, changes requested, conflict, agent failed, pull request closed"
    RELEASED = "released"
    ATTEMPTS_USED_UP = "attempts used up"
    RETRIED = "/retry"
    COMPLETED = "merged + definition of done"
    ABANDONED = "closed as not planned"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: from these statuses, this trigger leads to that one."""

    trigger: Trigger
    sources: tuple[Status, ...]
    target: Status


_P, _R, _I, _V, _D, _F = Status  # pending, ready, in-progress, review, done, failed

TRANSITIONS: tuple[Transition, ...] = (
    Transition(Trigger.MADE_READY, (_P,), _R),
    Transition(Trigger.UNREADY, (_R,), _P),
    Transition(Trigger.ASSIGNED, (_R,), _I),
    Transition(Trigger.PLANNED, (_I,), _R),
    # A person may open a pull request for a task that no agent holds; that is work too.
    Transition(Trigger.PULL_OPENED, (_P, _R, _I), _V),
    Transition(Trigger.SENT_BACK, (_I, _V), _R),
    Transition(Trigger.RELEASED, (_I, _V), _R),
    Transition(Trigger.ATTEMPTS_USED_UP, (_I, _V), _F),
    Transition(Trigger.RETRIED, (_I, _V, _F), _R),
    # People may merge or close anything at any time: GitHub's state wins.
    Transition(Trigger.COMPLETED, (_P, _R, _I, _V, _F), _D),
    Transition(Trigger.ABANDONED, (_P, _R, _I, _V), _F),
    Transition(Trigger.REOPENED, (_D, _F), _P),
)

_TARGETS: dict[tuple[Status, Trigger], Status] = {
    (source, row.trigger): row.target for row in TRANSITIONS for source in row.sources
}


class IllegalTransition(ValueError):
    """The table has no such row: a rule forgot to check the status first."""


def can_apply(status: Status, trigger: Trigger) -> bool:
    """Whether the table has a row for this trigger in this status."""
    return (status, trigger) in _TARGETS


def apply_trigger(task: Task, trigger: Trigger, now: datetime) -> Task:
    """The task after `trigger`.

    Raises `IllegalTransition` if the table has no such row.
    """
    try:
        target = _TARGETS[task.status, trigger]
    except KeyError:
        raise IllegalTransition(f"#{task.number}: no way from {task.status} by {trigger.name}") from None
    return replace(task, status=target, status_since=now)


def state_diagram() -> str:
    """The state diagram of the documentation, drawn from the table."""
    lines = ["stateDiagram-v2", "    [*] --> pending"]
    names = {s: s.value.replace("-", "_") for s in Status}
    lines.append(f'    state "{Status.IN_PROGRESS}" as {names[Status.IN_PROGRESS]}')
    for row in TRANSITIONS:
        lines += [f"    {names[source]} --> {names[row.target]}: {row.trigger}" for source in row.sources]
    lines.append("    done --> [*]")
    return "\n".join(lines) + "\n"
