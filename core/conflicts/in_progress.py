"""Finds the task in progress that another task must wait for because their files overlap.

A task waits only before its first attempt. So a task that is or was in progress never waits by forecast, and a hold by
forecast ends when the other task is over or stops: no two tasks can wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from core.forecast.model import Overlap, PredictedFile, change_probabilities, overlap
from core.task.model import Flag, Priority, Role, Status, Task


@dataclass(frozen=True, slots=True)
class InProgressTask:
    """The part of a task that overlap needs, small enough to be read for all tasks in progress."""

    number: int
    status: Status
    priority: Priority
    is_assignable: bool  # it can be assigned now
    is_unblocked: bool  # nothing blocks it: not held, not withdrawn, its issue is open
    flags: Collection[str]
    has_started: bool  # an agent or person implements it, or has tried
    agent: str | None
    pull_open: bool
    changed_files: Sequence[str]  # the files of its pull request
    predicted_files: Sequence[PredictedFile]

    @property
    def change_probabilities(self) -> dict[str, float]:
        """How likely it changes each file. In review its files are known; a draft may still change more."""
        if self.pull_open and self.changed_files and self.status is Status.REVIEW:
            return change_probabilities((), self.changed_files)
        return change_probabilities(self.predicted_files, self.changed_files if self.pull_open else ())


def has_started(task: Task) -> bool:
    """Whether work on it has begun; planning does not count."""
    at_work = task.lease is not None and task.lease.role is Role.IMPLEMENT
    was_attempted = any(attempt.role is Role.IMPLEMENT for attempt in task.history)
    return at_work or was_attempted or bool(task.pull and task.pull.open)


def in_progress_of(task: Task) -> InProgressTask:
    """The part of the task that overlap needs."""
    lease, pull = task.lease, task.pull
    return InProgressTask(
        number=task.number,
        status=task.status,
        priority=task.priority,
        is_assignable=task.is_assignable,
        is_unblocked=not (task.hold or task.untracked) and task.issue_open,
        flags=[flag.value for flag in task.flags],
        has_started=has_started(task),
        agent=lease.worker if lease else None,
        pull_open=bool(pull and pull.open),
        changed_files=pull.files if pull else (),
        predicted_files=task.forecast.files if task.forecast else (),
    )


def overlapping(task: InProgressTask) -> bool:
    """Whether another task may wait for this one: its work has begun, and nothing keeps it from finishing."""
    if not (task.has_started and task.is_unblocked) or Flag.NEEDS_HUMAN.value in task.flags:
        return False
    return task.status in (Status.IN_PROGRESS, Status.REVIEW) or task.is_assignable


def first_overlapping(
    task: Task, others: Iterable[InProgressTask], threshold: float
) -> tuple[InProgressTask, Overlap] | None:
    """The task in progress that this task must wait for before assignment: the one it most likely overlaps.

    None if no overlap is likelier than `threshold`. A P0 never waits for a less urgent task, and no task waits for one
    that a person allowed it to overlap.
    """
    if has_started(task) or task.forecast is None:
        return None
    own_probabilities = change_probabilities(task.forecast.files)
    matches = []
    for other in others:
        is_excluded = other.number == task.number or other.number in task.ignored_overlaps
        is_less_urgent = task.priority is Priority.P0 and other.priority is not Priority.P0
        if is_excluded or is_less_urgent or not overlapping(other):
            continue
        result = overlap(own_probabilities, other.change_probabilities)
        if result.probability > threshold:
            matches.append((other, result))
    return min(matches, key=lambda entry: (-entry[1].probability, entry[0].number), default=None)


def has_stopped(before: Task | None, after: Task) -> bool:
    """Whether its work was in progress before the change and is not now."""
    return before is not None and overlapping(in_progress_of(before)) and not overlapping(in_progress_of(after))
