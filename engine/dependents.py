"""Finds the tasks that depend on a changed task, and the signals by which they are evaluated again."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.database import dependency_graph
from adapters.database.dependency_graph import TaskKey
from core.conflicts.in_progress import has_stopped
from core.decide.commands.dependencies import is_finished
from core.signals.base import BlockerCleared, DependencyChanged
from core.task.model import Status, Task
from engine.readiness_inputs import hold_conflicts
from engine.session import NumberedSignal, Session


def signal_dependents(session: Session, number: int, keys: Iterable[TaskKey]) -> list[NumberedSignal]:
    """Return the signals for tasks that a change of `number` concerns.

    Tasks of other repositories are evaluated later, each in a transaction on its own repository.
    """
    signals: list[NumberedSignal] = []
    for repository_id, dependent in sorted(set(keys)):
        if repository_id != session.repository.id:
            session.neighbours.add((repository_id, dependent))
        elif dependent != number:
            signals.append((dependent, DependencyChanged(number)))
    return signals


async def reevaluate_dependents(
    session: Session, number: int, previous: Task | None, current: Task, affected: frozenset[TaskKey] = frozenset()
) -> list[NumberedSignal]:
    """Return the signals for tasks whose readiness the change of a task may affect.

    They depend on it, and it was created, finished, or opened again; they are duplicates of it, and no longer are, or
    now are; or its new dependencies concern them.
    """
    repository_id, keys = session.repository.id, set(affected)
    if previous is None or _is_done(previous) != _is_done(current):
        keys.update(await dependency_graph.list_dependents(session.connection, session.repository, number))
    fingerprint_before, fingerprint = _open_fingerprint(previous), _open_fingerprint(current)
    if fingerprint_before != fingerprint:
        for changed in {fingerprint_before, fingerprint} - {None}:
            connection = await session.flushed_connection()
            duplicates = await dependency_graph.newer_duplicates(connection, repository_id, number, changed or "")
            keys.update((repository_id, duplicate) for duplicate in duplicates)
    if _blocker(previous) != _blocker(current):
        blockers = {_blocker(previous), _blocker(current)} - {""}
        keys.update(await hold_conflicts(await session.flushed_connection(), session.repository, number, blockers))
    return signal_dependents(session, number, keys)


async def release_queued(session: Session, number: int, before: Task | None, after: Task) -> list[NumberedSignal]:
    """Return the signals for tasks that are queued after a task, if the task is finished now or has stopped."""
    is_over = is_finished(after) and not (before and is_finished(before))
    if not is_over and not has_stopped(before, after):
        return []
    queued = await dependency_graph.tasks_queued_after(
        await session.flushed_connection(), session.repository.id, number
    )
    return [(waiting, BlockerCleared(number, is_over)) for waiting in queued]


def _blocker(task: Task | None) -> str:
    """The reference of the task that this task is queued after."""
    return task.hold.blocker if task and task.hold and not task.hold.is_forecast else ""


def _is_done(task: Task) -> bool:
    return not task.issue_open if task.untracked else task.status is Status.DONE


def _open_fingerprint(task: Task | None) -> str | None:
    """The fingerprint by which duplicates of a task are found; None for a task that is over."""
    return task.fingerprint if task and task.is_open and not task.untracked else None
