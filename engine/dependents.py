"""Whose readiness rests on a task, and so looks again when it changes. Always inside a unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.database import dependency_graph
from adapters.database.dependency_graph import TaskKey
from core.conflicts.in_progress import stopped
from core.decide.commands.dependencies import is_finished
from core.signals.base import BlockerCleared
from core.task.model import Status, Task
from engine.readiness_inputs import hold_conflicts

if TYPE_CHECKING:
    from engine.unit_of_work import UnitOfWork


async def reevaluate_dependents(
    unit: UnitOfWork, number: int, before: Task | None, after: Task, concerned: frozenset[TaskKey] = frozenset()
) -> None:
    """Those whose readiness rests on this task look at it again.

    They wait for it, and it exists now, is finished, or is open again; they ask for the same, and it no longer
    does, or does now; or its new dependencies concern them.
    """
    others = set(concerned)
    if before is None or _finished(before) != _finished(after):
        others.update(await dependency_graph.list_dependents(unit.connection, unit.repository, number))
    asked, asks = _asks_for(before), _asks_for(after)
    for fingerprint in {asked, asks} - {None} if asked != asks else ():
        twins = await dependency_graph.newer_duplicates(
            await unit.written(), unit.repository.id, number, fingerprint or ""
        )
        others.update((unit.repository.id, twin) for twin in twins)
    behind = {_behind(before), _behind(after)} - {""} if _behind(before) != _behind(after) else set()
    if behind:
        others.update(await hold_conflicts(await unit.written(), unit.repository, number, behind))
    await unit.reevaluate(number, others)
    is_over = is_finished(after) and not (before and is_finished(before))
    if is_over or stopped(before, after):
        for waiting in await dependency_graph.tasks_queued_after(await unit.written(), unit.repository.id, number):
            await unit.apply(waiting, BlockerCleared(number, is_over))


def _behind(task: Task | None) -> str:
    """The task behind which this one is queued."""
    return task.held.behind if task and task.held and not task.held.foreseen else ""


def _finished(task: Task) -> bool:
    return not task.issue_open if task.withdrawn else task.status is Status.DONE


def _asks_for(task: Task | None) -> str | None:
    """The fingerprint by which a task has twins; one that is over has none."""
    return task.fingerprint if task and task.is_open and not task.withdrawn else None
