"""Between pending and ready: the Definition of Ready, and waiting for other tasks."""

from __future__ import annotations

from core.decide.draft import Draft
from core.events import EventType
from core.lifecycle import Trigger
from core.readiness import missing
from core.signals import DependencyChanged
from core.task import Flag, Status


def check_readiness(draft: Draft) -> None:
    """Apply the Definition of Ready to a task that nobody works on yet."""
    task = draft.task
    if task.status not in (Status.PENDING, Status.READY):
        return
    around = draft.context.around
    gaps = missing(task, around)
    waits = tuple(sorted(ref for ref, finished in around.dependencies.items() if not finished))
    draft.set(missing=gaps, waits_for=waits)
    if task.status is Status.PENDING and not gaps:
        draft.move(Trigger.MADE_READY)
        draft.tell(EventType.TASK_READY)
    elif task.status is Status.READY and gaps:
        draft.move(Trigger.UNREADY)
        draft.tell(EventType.TASK_UNREADY, missing=list(gaps))
    _show_waiting(draft)


def _show_waiting(draft: Draft) -> None:
    """The flag `blocked` is up while the task waits for others."""
    task = draft.task
    if task.waits_for:
        draft.task = task.flagged(Flag.BLOCKED, f"It waits for {', '.join(task.waits_for)}.")
    else:
        draft.task = task.unflagged(Flag.BLOCKED)


def dependency_changed(draft: Draft, signal: DependencyChanged) -> None:
    """A dependency was finished, reopened, or went away: look at readiness again."""
    if f"#{signal.number}" in draft.context.around.dependencies:
        check_readiness(draft)
