"""A person holds a task back, or lets it go on."""

from __future__ import annotations

from dataclasses import replace

from core.decide.draft import Draft
from core.decide.finish import ask_again, evaluate
from core.decide.readying import settle
from core.hold import Hold
from core.sanitise import defuse, mask_secrets, one_line
from core.task import Flag


def hold(draft: Draft, by: str, reason: str = "", *, paused: bool = False) -> None:
    """Not handed out, and not merged, until somebody lifts it. Whoever is at work may go on."""
    draft.set(held=Hold(by, draft.now, defuse(one_line(mask_secrets(reason), 300)), paused))
    evaluate(draft)  # which says on the pull request why it is not merged


def lift(draft: Draft) -> None:
    """The task goes on, and its waits begin anew."""
    held, lease = draft.task.held, draft.task.lease
    draft.set(held=None, reminded_at=draft.now)
    if held and held.paused and lease:
        draft.set(lease=replace(lease, last_sign_at=draft.now))
    ask_again(draft)
    draft.task = draft.task.unflagged(Flag.BLOCKED, Flag.STALLED)
    settle(draft)
    evaluate(draft)
