"""A person holds a task back, or lets it go on."""

from __future__ import annotations

from core.decide.draft import Draft
from core.decide.finish import ask_again, evaluate
from core.decide.readying import check_readiness
from core.hold import Hold
from core.sanitise import defuse, mask_secrets, one_line
from core.signals import WayClear
from core.task import Flag


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


def way_clear(draft: Draft, signal: WayClear) -> None:
    """The task behind which it is queued is over."""
    held = draft.task.held
    if held and held.behind == f"#{signal.number}":
        lift(draft)
