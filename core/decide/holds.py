"""Holds tasks, by a person or by forecast, and releases them."""

from __future__ import annotations

from core.audit.events import EventType
from core.conflicts.hold import Hold
from core.decide.builder import DecisionBuilder
from core.decide.completion import evaluate_completion, retry_refused_merge
from core.decide.readiness import check_readiness
from core.signals.base import BlockerCleared, OverlapPredicted
from core.task.model import Flag
from core.text_safety.sanitize import defuse, mask_secrets, one_line

OVERLAP = "overlap"  # the kind of a predicted conflict
MAX_ALLOWED_OVERLAPS = 50  # tasks that a person allowed this one to overlap; older ones are long over
MAX_SHARED_FILES = 10  # files stored for an overlap


def hold_task(
    builder: DecisionBuilder, login: str, reason: str = "", *, paused: bool = False, blocker: str = ""
) -> None:
    """Neither assign nor merge the task until the hold is lifted. The present holder may continue.

    Holding again replaces the reason and keeps the start. `blocker` names a task, `#12`, whose end lifts the hold.
    """
    previous_hold = builder.task.held
    since = previous_hold.at if previous_hold and previous_hold.paused == paused else builder.now
    builder.update_task(held=Hold(login, since, defuse(one_line(mask_secrets(reason), 300)), paused, blocker))
    if blocker:
        check_readiness(builder)  # a duplicate that it waits for is no longer a gap
    evaluate_completion(builder)  # shows on the pull request why it is not merged


def lift_hold(builder: DecisionBuilder) -> None:
    """Let the task continue. After a pause each attempt keeps its remaining time; other deadlines start again."""
    current_hold = builder.task.held
    builder.update_task(held=None, reminded_at=builder.now)
    for lease in (builder.task.lease, builder.task.review):
        if current_hold and current_hold.paused and lease:
            paused_for = builder.now - max(current_hold.at, lease.since)
            builder.update_lease(lease, paused=lease.paused + paused_for, resumed_at=builder.now)
    retry_refused_merge(builder)
    builder.task = builder.task.unflagged(Flag.BLOCKED, Flag.STALLED)
    check_readiness(builder)
    evaluate_completion(builder)


def release_hold(builder: DecisionBuilder, login: str) -> None:
    """A person lifts the hold. A hold by forecast does not return for the same task."""
    current_hold = builder.task.held
    if current_hold and current_hold.foreseen:
        builder.update_task(let_past=(*builder.task.let_past, int(current_hold.behind[1:]))[-MAX_ALLOWED_OVERLAPS:])
        builder.add_event(
            EventType.CONFLICT_RESOLVED, actor=login, kind=OVERLAP, how="let go", behind=current_hold.behind
        )
    lift_hold(builder)


def on_blocker_cleared(builder: DecisionBuilder, signal: BlockerCleared) -> None:
    """The task that this one waits for is over; or stopped, which is enough for a hold by forecast."""
    current_hold = builder.task.held
    if current_hold is None or current_hold.behind != f"#{signal.number}" or not (signal.over or current_hold.foreseen):
        return
    if current_hold.foreseen:
        builder.add_event(EventType.CONFLICT_RESOLVED, kind=OVERLAP, how="queue", behind=current_hold.behind)
    lift_hold(builder)


def on_overlap_predicted(builder: DecisionBuilder, signal: OverlapPredicted) -> None:
    """Hold the task until the overlapping task in progress is over, before any work is lost."""
    task = builder.task
    if not task.in_line or signal.number in task.let_past:
        return
    files = signal.files[:MAX_SHARED_FILES]
    builder.update_task(held=Hold("", builder.now, behind=f"#{signal.number}", files=files))
    builder.add_event(
        EventType.CONFLICT_DETECTED,
        kind=OVERLAP,
        tasks=[signal.number, task.number],
        agents=[signal.agent] if signal.agent else [],
        files=list(files),
        severity="low",  # nothing is lost: no work has begun
        reason=builder.task.held.said if builder.task.held else "",
        probability=round(signal.probability, 3),
    )
