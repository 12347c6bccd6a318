"""Finds the task in progress that another task must wait for because their files overlap.

A task waits only before its first attempt. So a task that is or was in progress never waits by forecast, and a hold by
forecast ends when the other task is over or stops: no two tasks can wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from core.forecast.model import Overlap, PredictedFile, chances, overlap
from core.task.model import Flag, Priority, Role, Status, Task


@dataclass(frozen=True, slots=True)
class InProgressTask:
    """The part of a task that overlap needs, small enough to be read for all tasks in progress."""

    number: int
    status: Status
    priority: Priority
    in_line: bool  # it can be assigned now
    free: bool  # nothing blocks it: not held, not withdrawn, its issue is open
    flags: Collection[str]
    begun: bool  # an agent or person implements it, or has tried
    agent: str | None
    pull_open: bool
    touched: Sequence[str]  # the files of its pull request
    foreseen: Sequence[PredictedFile]

    @property
    def chances(self) -> dict[str, float]:
        """How likely it changes each file. In review its files are known; a draft may still change more."""
        if self.pull_open and self.touched and self.status is Status.REVIEW:
            return chances((), self.touched)
        return chances(self.foreseen, self.touched if self.pull_open else ())


def has_begun(task: Task) -> bool:
    """Whether work on it has begun; planning does not count."""
    at_work = task.lease is not None and task.lease.role is Role.IMPLEMENT
    tried = any(attempt.role is Role.IMPLEMENT for attempt in task.history)
    return at_work or tried or bool(task.pull and task.pull.open)


def in_progress_of(task: Task) -> InProgressTask:
    """The part of the task that overlap needs."""
    lease, pull = task.lease, task.pull
    return InProgressTask(
        number=task.number,
        status=task.status,
        priority=task.priority,
        in_line=task.in_line,
        free=not (task.held or task.withdrawn) and task.issue_open,
        flags=[flag.value for flag in task.flags],
        begun=has_begun(task),
        agent=lease.worker if lease else None,
        pull_open=bool(pull and pull.open),
        touched=pull.files if pull else (),
        foreseen=task.forecast.files if task.forecast else (),
    )


def overlapping(one: InProgressTask) -> bool:
    """Whether another task may wait for this one: its work has begun, and nothing keeps it from finishing."""
    if not (one.begun and one.free) or Flag.NEEDS_HUMAN.value in one.flags:
        return False
    return one.status in (Status.IN_PROGRESS, Status.REVIEW) or one.in_line


def first_overlapping(
    task: Task, others: Iterable[InProgressTask], threshold: float
) -> tuple[InProgressTask, Overlap] | None:
    """The task in progress that this task must wait for before assignment: the one it most likely overlaps.

    None if no overlap is likelier than `threshold`. A P0 never waits for a less urgent task, and no task waits for one
    that a person allowed it to overlap (`let_past`).
    """
    if has_begun(task) or task.forecast is None:
        return None
    mine = chances(task.forecast.files)
    found = []
    for one in others:
        passed = one.number == task.number or one.number in task.let_past
        less_urgent = task.priority is Priority.P0 and one.priority is not Priority.P0
        if passed or less_urgent or not overlapping(one):
            continue
        shared = overlap(mine, one.chances)
        if shared.probability > threshold:
            found.append((one, shared))
    return min(found, key=lambda entry: (-entry[1].probability, entry[0].number), default=None)


def stopped(before: Task | None, after: Task) -> bool:
    """Whether its work was in progress before the change and is not now."""
    return before is not None and overlapping(in_progress_of(before)) and not overlapping(in_progress_of(after))
