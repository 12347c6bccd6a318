"""Between pending and ready: the Definition of Ready, and waiting for other tasks."""

from __future__ import annotations

from core.assignment.queue import place_in_queue
from core.audit.events import EventType
from core.decide.builder import Draft
from core.intake.readiness import missing, twin_gap, twins_of
from core.signals.base import QueueTurn
from core.task.lifecycle import Trigger
from core.task.model import Flag, Status, Task


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
    _tell_conflicts(draft, task)
    settle(draft)


def _tell_conflicts(draft: Draft, before: Task) -> None:
    """An open twin, or work that was handed out before what it depends on is done: conflicts as any other."""
    task = draft.task
    twins = sorted(twins_of(task, draft.context.around))
    # Readiness is looked at often: what was missing before was told then.
    if twins and (draft.before is None or twin_gap(twins) not in before.missing):
        draft.tell(EventType.CONFLICT_DETECTED, kind="duplicate", tasks=[task.number, *twins], severity="medium")
    at_work = task.status in (Status.IN_PROGRESS, Status.REVIEW)
    if at_work and (new := sorted(set(task.waits_for) - set(before.waits_for))):
        draft.tell(
            EventType.CONFLICT_DETECTED,
            kind="dependency",
            tasks=[task.number, *(int(name[1:]) for name in new if name.startswith("#"))],
            agents=[task.lease.agent] if task.lease else [],
            depends_on=new,
            severity="medium",
        )


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
        draft.task = task.flagged(Flag.BLOCKED, f"The task waits for {', '.join(task.waits_for)}.")
    else:
        draft.task = task.unflagged(Flag.BLOCKED)


def queue_turn(draft: Draft, signal: QueueTurn) -> None:
    """Park a task before a full queue, or take it in. One that cannot be handed out any more has no place there."""
    task = draft.task
    place = place_in_queue(task)
    if place is None or place is not signal.parked:
        return
    if signal.parked:
        depth = draft.policy.limits.max_queue_depth
        draft.task = task.flagged(
            Flag.PARKED, f"The queue is full ({depth} tasks); the bot adds this task as soon as there is room."
        )
        draft.tell(EventType.TASK_PARKED)
    else:
        draft.task = task.unflagged(Flag.PARKED)
        draft.tell(EventType.TASK_UNPARKED)
