"""Moves tasks between pending and ready by the definition of ready and their dependencies."""

from __future__ import annotations

from core.assignment.queue import queue_state
from core.audit.events import EventType
from core.decide.builder import DecisionBuilder
from core.intake.readiness import duplicate_problem, duplicates_of, readiness_problems
from core.signals.base import QueueAdmission
from core.task.lifecycle import Trigger
from core.task.model import Flag, Status, Task


def check_readiness(builder: DecisionBuilder) -> None:
    """Apply the definition of ready.

    A task in progress stays with its holder; the result counts when it returns to the queue.
    """
    task = builder.task
    if not task.is_open:
        return
    inputs = builder.context.readiness_inputs
    unfinished = tuple(sorted(reference for reference, finished in inputs.dependencies.items() if not finished))
    builder.update_task(
        readiness_problems=readiness_problems(task, inputs),
        depends_on=tuple(sorted(inputs.dependencies)),
        open_dependencies=unfinished,
    )
    _record_conflicts(builder, task)
    update_readiness(builder)


def _record_conflicts(builder: DecisionBuilder, previous: Task) -> None:
    """Record a duplicate, or work that was assigned before its dependencies are done, as a conflict."""
    task = builder.task
    duplicates = sorted(duplicates_of(task, builder.context.readiness_inputs))
    # Readiness is checked often: gaps that existed before were recorded then.
    if duplicates and (builder.previous is None or duplicate_problem(duplicates) not in previous.readiness_problems):
        builder.add_event(
            EventType.CONFLICT_DETECTED, kind="duplicate", tasks=[task.number, *duplicates], severity="medium"
        )
    is_active = task.status in (Status.IN_PROGRESS, Status.REVIEW)
    if is_active and (new_dependencies := sorted(set(task.open_dependencies) - set(previous.open_dependencies))):
        builder.add_event(
            EventType.CONFLICT_DETECTED,
            kind="dependency",
            tasks=[task.number, *(int(reference[1:]) for reference in new_dependencies if reference.startswith("#"))],
            agents=[task.lease.agent] if task.lease else [],
            depends_on=new_dependencies,
            severity="medium",
        )


def update_readiness(builder: DecisionBuilder) -> None:
    """Move a task without a holder between pending and ready."""
    task = builder.task
    if task.status not in (Status.PENDING, Status.READY):
        return
    if task.status is Status.PENDING and not task.readiness_problems:
        builder.transition(Trigger.MADE_READY)
        builder.add_event(EventType.TASK_READY)
    elif task.status is Status.READY and task.readiness_problems:
        builder.transition(Trigger.UNREADY)
        builder.add_event(EventType.TASK_UNREADY, missing=list(task.readiness_problems))
    # The flag `blocked` is set while the task waits for others.
    task = builder.task
    if task.open_dependencies:
        builder.task = task.with_flag(Flag.BLOCKED, f"The task waits for {', '.join(task.open_dependencies)}.")
    else:
        builder.task = task.without_flags(Flag.BLOCKED)


def on_queue_admission(builder: DecisionBuilder, signal: QueueAdmission) -> None:
    """Park a task outside a full queue, or admit it. A task that cannot be assigned any more has no place there."""
    task = builder.task
    queue_place = queue_state(task)
    if queue_place is None or (queue_place == "queued") is not signal.parked:
        return
    if signal.parked:
        depth = builder.policy.limits.max_queue_depth
        builder.task = task.with_flag(
            Flag.PARKED, f"The queue is full ({depth} tasks); the bot adds this task as soon as there is room."
        )
        builder.add_event(EventType.TASK_PARKED)
    else:
        builder.task = task.without_flags(Flag.PARKED)
        builder.add_event(EventType.TASK_UNPARKED)
