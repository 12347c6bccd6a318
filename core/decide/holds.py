"""A task is held back, by a person or because it would meet another one, and let go on."""

from __future__ import annotations

from core.audit.events import EventType
from core.conflicts.hold import Hold
from core.decide.builder import DecisionBuilder
from core.decide.completion import evaluate_completion, retry_refused_merge
from core.decide.readiness import check_readiness
from core.signals.base import BlockerCleared, OverlapPredicted
from core.task.model import Flag
from core.text_safety.sanitize import defuse, mask_secrets, one_line

OVERLAP = "overlap"  # the kind of a conflict that was foreseen
MAX_ALLOWED_OVERLAPS = 50  # tasks that a person let it go before; older ones are long over
MAX_SHARED_FILES = 10  # files that are kept of an overlap


def hold_task(
    builder: DecisionBuilder, login: str, reason: str = "", *, paused: bool = False, blocker: str = ""
) -> None:
    """Not handed out, and not merged, until somebody lifts it. Whoever is at work may go on.

    Said again it has a new reason, and goes on from when it began. `behind` names a task, `#12`, that lifts it by
    being over.
    """
    previous_hold = builder.task.held
    since = previous_hold.at if previous_hold and previous_hold.paused == paused else builder.now
    builder.update_task(held=Hold(login, since, defuse(one_line(mask_secrets(reason), 300)), paused, blocker))
    if blocker:
        check_readiness(builder)  # a twin that it is queued behind is no mistake any more
    evaluate_completion(builder)  # which says on the pull request why it is not merged


def lift_hold(builder: DecisionBuilder) -> None:
    """The task goes on. After a pause the time for each attempt runs on with what was left of it; waits begin anew."""
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
    """A person lifts it. What was held by forecast is not held behind the same task again."""
    current_hold = builder.task.held
    if current_hold and current_hold.foreseen:
        builder.update_task(let_past=(*builder.task.let_past, int(current_hold.behind[1:]))[-MAX_ALLOWED_OVERLAPS:])
        builder.add_event(
            EventType.CONFLICT_RESOLVED, actor=login, kind=OVERLAP, how="let go", behind=current_hold.behind
        )
    lift_hold(builder)


def on_blocker_cleared(builder: DecisionBuilder, signal: BlockerCleared) -> None:
    """The task behind which it is queued is over, or is nobody's work any more: for a forecast that is enough."""
    current_hold = builder.task.held
    if current_hold is None or current_hold.behind != f"#{signal.number}" or not (signal.over or current_hold.foreseen):
        return
    if current_hold.foreseen:
        builder.add_event(EventType.CONFLICT_RESOLVED, kind=OVERLAP, how="queue", behind=current_hold.behind)
    lift_hold(builder)


def on_overlap_predicted(builder: DecisionBuilder, signal: OverlapPredicted) -> None:
    """It waits behind the task under way, before anybody's work is lost."""
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
        severity="low",  # nothing is lost: nobody has begun
        reason=builder.task.held.said if builder.task.held else "",
        probability=round(signal.probability, 3),
    )
