"""Tasks under way, as far as another one could meet them; and the rule which of them a task waits behind.

A task waits only before its first attempt. So one that is under way, or was and is handed on, never waits by forecast,
and a hold by forecast ends when the other is over or stops: no two tasks can wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from core.forecast.model import Overlap, PredictedFile, chances, overlap
from core.task.model import Flag, Priority, Role, Status, Task


@dataclass(frozen=True, slots=True)
class InProgressTask:
    """A task as others could meet it: little enough to be read of all that are in flight."""

    number: int
    status: Status
    priority: Priority
    in_line: bool  # it could be handed out now
    free: bool  # nothing keeps it from going on: not held, not withdrawn, its issue is open
    flags: Collection[str]
    begun: bool  # somebody implements it, or has tried
    agent: str | None
    pull_open: bool
    touched: Sequence[str]  # the files of its pull request
    foreseen: Sequence[PredictedFile]

    @property
    def chances(self) -> dict[str, float]:
        """How likely it changes each file. Of what is in review its files are known; of a draft more may come."""
        if self.pull_open and self.touched and self.status is Status.REVIEW:
            return chances((), self.touched)
        return chances(self.foreseen, self.touched if self.pull_open else ())


def has_begun(task: Task) -> bool:
    """Whether work on it was begun: planning is none."""
    at_work = task.lease is not None and task.lease.role is Role.IMPLEMENT
    tried = any(attempt.role is Role.IMPLEMENT for attempt in task.history)
    return at_work or tried or bool(task.pull and task.pull.open)


def in_progress_of(task: Task) -> InProgressTask:
    """The task as others could meet it."""
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
    """Whether another task may wait behind this one: its work was begun, and nothing keeps it from coming to an end."""
    if not (one.begun and one.free) or Flag.NEEDS_HUMAN.value in one.flags:
        return False
    return one.status in (Status.IN_PROGRESS, Status.REVIEW) or one.in_line


def first_overlapping(
    task: Task, others: Iterable[InProgressTask], threshold: float
) -> tuple[InProgressTask, Overlap] | None:
    """The task under way that this one, about to be handed out, waits behind: the one it most likely meets.

    None where that is no likelier than `threshold`. A P0 waits behind nothing less urgent, and nobody behind a task
    that a person let them go before.
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
    """Whether its work was under way, and nobody goes on with it for now."""
    return before is not None and overlapping(in_progress_of(before)) and not overlapping(in_progress_of(after))
