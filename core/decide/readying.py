"""Between pending and ready: the Definition of Ready, and waiting for other tasks."""

from __future__ import annotations

from core.decide.draft import Draft
from core.events import EventType
from core.lifecycle import Trigger
from core.readiness import missing
from core.task import Flag, Status


def check_readiness(draft: Draft) -> None:
    """Apply the Definition of Ready.

    A task that somebody works on stays with them; what was found counts when it comes back to the queue.
    """
    task = draft.task
    if not task.is_open:
        return
    around = draft.context.around
    waits = tuple(sorted(ref for ref, finished in around.dependencies.items() if not finished))
    draft.set(missing=missing(task, around), depends_on=tuple(sorted(around.dependencies)), waits_for=waits)
    settle(draft)


def settle(draft: Draft) -> None:
    """Move a task that nobody works on between pending and ready, by what is known of it."""
    task = draft.task
    if task.status not in (Status.PENDING, Status.READY):
        return
    if task.status is Status.PENDING and not task.missing:
        draft.move(Trigger.MADE_READY)
        draft.tell(EventType.TASK_READY)
    elif task.status is Status.READY and task.missing:
        draft.move(Trigger.UNREADY)
        draft.tell(EventType.TASK_UNREADY, missing=list(task.missing))
    # The flag `blocked` is up while the task waits for others.
    task = draft.task
    if task.waits_for:
        draft.task = task.flagged(Flag.BLOCKED, f"It waits for {', '.join(task.waits_for)}.")
    else:
        draft.task = task.unflagged(Flag.BLOCKED)
