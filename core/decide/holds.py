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
    previous_hold = builder.task.hold
    since = previous_hold.held_at if previous_hold and previous_hold.is_paused == paused else builder.now
    builder.update_task(hold=Hold(login, since, defuse(one_line(mask_secrets(reason), 300)), paused, blocker))
    if blocker:
        check_readiness(builder)  # a duplicate that it waits for is no longer a gap
    evaluate_completion(builder)  # shows on the pull request why it is not merged


def lift_hold(builder: DecisionBuilder) -> None:
    """Let the task continue. After a pause each attempt keeps its remaining time; other deadlines start again."""
    current_hold = builder.task.hold
    builder.update_task(hold=None, wait_restarted_at=builder.now)
    for lease in (builder.task.lease, builder.task.review_lease):
        if current_hold and current_hold.is_paused and lease:
            paused_for = builder.now - max(current_hold.held_at, lease.since)
            builder.update_lease(lease, pause_duration=lease.pause_duration + paused_for, resumed_at=builder.now)
    retry_refused_merge(builder)
    builder.task = builder.task.without_flags(Flag.BLOCKED, Flag.STALLED)
    check_readiness(builder)
    evaluate_completion(builder)


def release_hold(builder: DecisionBuilder, login: str) -> None:
    """A person lifts the hold. A hold by forecast does not return for the same task."""
    current_hold = builder.task.hold
    if current_hold and current_hold.is_forecast:
        builder.update_task(
            ignored_overlaps=(*builder.task.ignored_overlaps, int(current_hold.blocker[1:]))[-MAX_ALLOWED_OVERLAPS:]
        )
        builder.add_event(
            EventType.CONFLICT_RESOLVED, actor=login, kind=OVERLAP, how="let go", behind=current_hold.blocker
        )
    lift_hold(builder)


def on_blocker_cleared(builder: DecisionBuilder, signal: BlockerCleared) -> None:
    """The task that this one waits for is over; or stopped, which is enough for a hold by forecast."""
    current_hold = builder.task.hold
    if (
        current_hold is None
        or current_hold.blocker != f"#{signal.number}"
        or not (signal.is_finished or current_hold.is_forecast)
    ):
        return
    if current_hold.is_forecast:
        builder.add_event(EventType.CONFLICT_RESOLVED, kind=OVERLAP, how="queue", behind=current_hold.blocker)
    lift_hold(builder)


def on_overlap_predicted(builder: DecisionBuilder, signal: OverlapPredicted) -> None:
    """Hold the task until the overlapping task in progress is over, before any work is lost."""
    task = builder.task
    if not task.is_assignable or signal.number in task.ignored_overlaps:
        return
    files = signal.files[:MAX_SHARED_FILES]
    builder.update_task(hold=Hold("", builder.now, blocker=f"#{signal.number}", files=files))
    builder.add_event(
        EventType.CONFLICT_DETECTED,
        kind=OVERLAP,
        tasks=[signal.number, task.number],
        agents=[signal.agent] if signal.agent else [],
        files=list(files),
        severity="low",  # nothing is lost: no work has begun
        reason=builder.task.hold.description if builder.task.hold else "",
        probability=round(signal.probability, 3),
    )
