"""Whose readiness rests on a task, and so looks again when it changes. Always inside a unit of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.database import dependency_graph
from adapters.database.dependency_graph import Place
from core.conflicts.in_progress import stopped
from core.decide.commands.dependencies import over
from core.signals.base import WayClear
from core.task.model import Status, Task
from engine.readiness_inputs import around_hold

if TYPE_CHECKING:
    from engine.unit_of_work import UnitOfWork


async def tell_others(
    unit: UnitOfWork, number: int, before: Task | None, after: Task, concerned: frozenset[Place] = frozenset()
) -> None:
    """Those whose readiness rests on this task look at it again.

    They wait for it, and it exists now, is finished, or is open again; they ask for the same, and it no longer
    does, or does now; or its new dependencies concern them.
    """
    others = set(concerned)
    if before is None or _finished(before) != _finished(after):
        others.update(await dependency_graph.dependents(unit.connection, unit.repository, number))
    asked, asks = _asks_for(before), _asks_for(after)
    for fingerprint in {asked, asks} - {None} if asked != asks else ():
        twins = await dependency_graph.younger_twins(
            await unit.written(), unit.repository.id, number, fingerprint or ""
        )
        others.update((unit.repository.id, twin) for twin in twins)
    behind = {_behind(before), _behind(after)} - {""} if _behind(before) != _behind(after) else set()
    if behind:
        others.update(await around_hold(await unit.written(), unit.repository, number, behind))
    await unit.look_again(number, others)
    is_over = over(after) and not (before and over(before))
    if is_over or stopped(before, after):
        for waiting in await dependency_graph.queued_behind(await unit.written(), unit.repository.id, number):
            await unit.apply(waiting, WayClear(number, is_over))


def _behind(task: Task | None) -> str:
    """The task behind which this one is queued."""
    return task.held.behind if task and task.held and not task.held.foreseen else ""


def _finished(task: Task) -> bool:
    return not task.issue_open if task.withdrawn else task.status is Status.DONE


def _asks_for(task: Task | None) -> str | None:
    """The fingerprint by which a task has twins; one that is over has none."""
    return task.fingerprint if task and task.is_open and not task.withdrawn else None
