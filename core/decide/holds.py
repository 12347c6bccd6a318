"""A task is held back, by a person or because it would meet another one, and let go on."""

from __future__ import annotations

from core.audit.events import EventType
from core.conflicts.hold import Hold
from core.decide.builder import Draft
from core.decide.completion import ask_again, evaluate
from core.decide.readiness import check_readiness
from core.signals.base import Overlapping, WayClear
from core.task.model import Flag
from core.text_safety.sanitize import defuse, mask_secrets, one_line

OVERLAP = "overlap"  # the kind of a conflict that was foreseen
MAX_LET_PAST = 50  # tasks that a person let it go before; older ones are long over
MAX_SHARED = 10  # files that are kept of an overlap


def hold(draft: Draft, by: str, reason: str = "", *, paused: bool = False, behind: str = "") -> None:
    """Not handed out, and not merged, until somebody lifts it. Whoever is at work may go on.

    Said again it has a new reason, and goes on from when it began. `behind` names a task, `#12`, that lifts it by
    being over.
    """
    before = draft.task.held
    since = before.at if before and before.paused == paused else draft.now
    draft.set(held=Hold(by, since, defuse(one_line(mask_secrets(reason), 300)), paused, behind))
    if behind:
        check_readiness(draft)  # a twin that it is queued behind is no mistake any more
    evaluate(draft)  # which says on the pull request why it is not merged


def lift(draft: Draft) -> None:
    """The task goes on. After a pause the time for each attempt runs on with what was left of it; waits begin anew."""
    held = draft.task.held
    draft.set(held=None, reminded_at=draft.now)
    for lease in (draft.task.lease, draft.task.review):
        if held and held.paused and lease:
            stood = draft.now - max(held.at, lease.since)
            draft.set_lease(lease, paused=lease.paused + stood, resumed_at=draft.now)
    ask_again(draft)
    draft.task = draft.task.unflagged(Flag.BLOCKED, Flag.STALLED)
    check_readiness(draft)
    evaluate(draft)


def let_go(draft: Draft, who: str) -> None:
    """A person lifts it. What was held by forecast is not held behind the same task again."""
    held = draft.task.held
    if held and held.foreseen:
        draft.set(let_past=(*draft.task.let_past, int(held.behind[1:]))[-MAX_LET_PAST:])
        draft.tell(EventType.CONFLICT_RESOLVED, actor=who, kind=OVERLAP, how="let go", behind=held.behind)
    lift(draft)


def way_clear(draft: Draft, signal: WayClear) -> None:
    """The task behind which it is queued is over, or is nobody's work any more: for a forecast that is enough."""
    held = draft.task.held
    if held is None or held.behind != f"#{signal.number}" or not (signal.over or held.foreseen):
        return
    if held.foreseen:
        draft.tell(EventType.CONFLICT_RESOLVED, kind=OVERLAP, how="queue", behind=held.behind)
    lift(draft)


def overlapping(draft: Draft, signal: Overlapping) -> None:
    """It waits behind the task under way, before anybody's work is lost."""
    task = draft.task
    if not task.in_line or signal.number in task.let_past:
        return
    files = signal.files[:MAX_SHARED]
    draft.set(held=Hold("", draft.now, behind=f"#{signal.number}", files=files))
    draft.tell(
        EventType.CONFLICT_DETECTED,
        kind=OVERLAP,
        tasks=[signal.number, task.number],
        agents=[signal.agent] if signal.agent else [],
        files=list(files),
        severity="low",  # nothing is lost: nobody has begun
        reason=draft.task.held.said if draft.task.held else "",
        probability=round(signal.probability, 3),
    )
