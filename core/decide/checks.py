"""Applies the results of continuous integration, which count for the current head only."""

from __future__ import annotations

from core.decide.attempts import send_back
from core.decide.builder import DecisionBuilder
from core.decide.completion import evaluate_completion, retry_refused_merge
from core.handoff.feedback import Feedback
from core.signals.base import ChecksSeen
from core.stall.model import CheckWaitReason
from core.task.model import ChecksState, Status
from core.text_safety.sanitize import one_line
from core.texts import failed_check_details


def on_checks_seen(builder: DecisionBuilder, signal: ChecksSeen) -> None:
    """Apply the state of a commit's checks."""
    pull = builder.task.pull
    if pull is None or pull.head_sha != signal.sha:
        return
    if pull.checks is not signal.state:
        builder.update_pull(checks=signal.state)
        builder.record_progress()
    if signal.state is ChecksState.PENDING and signal.wait_reason not in (None, pull.check_wait_reason):
        # A wait that was just found counts as progress only if it ends.
        if pull.check_wait_reason is CheckWaitReason.APPROVAL or builder.task.stall:
            builder.record_progress()
        builder.update_pull(check_wait_reason=signal.wait_reason)
    failed = signal.state is ChecksState.FAILURE
    # A draft is not handed in: its agent may still be working on it.
    if failed and builder.task.status is Status.REVIEW and pull.open and not pull.draft:
        send_back(builder, _feedback(signal, builder), cancel=False)
        return
    retry_refused_merge(builder)
    evaluate_completion(builder)


def _feedback(signal: ChecksSeen, builder: DecisionBuilder) -> Feedback:
    names = one_line(", ".join(check.name for check in signal.failed), 150) or "a check"
    return Feedback(
        key=f"ci:{signal.sha}",
        title=f"CI failed: {names}",
        details="\n\n".join(failed_check_details(check) for check in signal.failed),
        created_at=builder.now,
        sha=signal.sha,
        failed_checks=signal.failed,
    )
