"""What continuous integration does to a task. Its word counts for the current head only."""

from __future__ import annotations

from core.decide.attempts import send_back
from core.decide.draft import Draft
from core.decide.finish import evaluate
from core.signals import ChecksSeen
from core.task import ChecksState, FailedCheck, Feedback, Status
from core.texts import failed_check_details


def seen(draft: Draft, signal: ChecksSeen) -> None:
    """The checks of a commit were read."""
    pull = draft.task.pull
    if pull is None or pull.head_sha != signal.sha:
        return
    if pull.checks is not signal.state:
        draft.set_pull(checks=signal.state)
    red = signal.state is ChecksState.FAILURE
    # A draft is not handed in: its agent may still be at work on it.
    if red and draft.task.status is Status.REVIEW and pull.open and not pull.draft:
        send_back(draft, _feedback(signal, draft), cancel=False)
        return
    evaluate(draft)


def _feedback(signal: ChecksSeen, draft: Draft) -> Feedback:
    names = ", ".join(check.name for check in signal.failed) or "a check"
    return Feedback(
        key=f"ci:{signal.sha}",
        title=f"CI failed: {names}",
        details="\n\n".join(_details(check) for check in signal.failed),
        at=draft.now,
        sha=signal.sha,
        failed_checks=signal.failed,
    )


def _details(check: FailedCheck) -> str:
    return failed_check_details(check)
