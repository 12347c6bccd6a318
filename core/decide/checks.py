"""What continuous integration does to a task. Its word counts for the current head only."""

from __future__ import annotations

from core.decide.attempts import send_back
from core.decide.builder import Draft
from core.decide.completion import ask_again, evaluate
from core.handoff.feedback import Feedback
from core.signals.base import ChecksSeen
from core.stall.model import ChecksWait
from core.task.model import ChecksState, Status
from core.text_safety.sanitize import one_line
from core.texts import failed_check_details


def seen(draft: Draft, signal: ChecksSeen) -> None:
    """The checks of a commit were read."""
    pull = draft.task.pull
    if pull is None or pull.head_sha != signal.sha:
        return
    if pull.checks is not signal.state:
        draft.set_pull(checks=signal.state)
        draft.moved_on()
    if signal.state is ChecksState.PENDING and signal.wait not in (None, pull.checks_wait):
        # What is known anew is no news yet; what is over is.
        if pull.checks_wait is ChecksWait.APPROVAL or draft.task.stall:
            draft.moved_on()
        draft.set_pull(checks_wait=signal.wait)
    red = signal.state is ChecksState.FAILURE
    # A draft is not handed in: its agent may still be at work on it.
    if red and draft.task.status is Status.REVIEW and pull.open and not pull.draft:
        send_back(draft, _feedback(signal, draft), cancel=False)
        return
    ask_again(draft)
    evaluate(draft)


def _feedback(signal: ChecksSeen, draft: Draft) -> Feedback:
    names = one_line(", ".join(check.name for check in signal.failed), 150) or "a check"
    return Feedback(
        key=f"ci:{signal.sha}",
        title=f"CI failed: {names}",
        details="\n\n".join(failed_check_details(check) for check in signal.failed),
        at=draft.now,
        sha=signal.sha,
        failed_checks=signal.failed,
    )
