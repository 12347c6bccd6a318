"""Applies reviews of the pull request to its task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.audit.events import EventType
from core.commands.permissions import is_lease_holder
from core.decide import agent_reviews
from core.decide.agents import record_heartbeat
from core.decide.attempts import send_back
from core.decide.builder import DecisionBuilder
from core.decide.completion import evaluate_completion, retry_refused_merge
from core.effects.base import MessageAgent
from core.handoff.feedback import Feedback, LineComment
from core.signals.base import ReviewDelivered, ReviewSeen
from core.task.model import Actor, Approval, Flag, Lease, Pull, Status
from core.texts import changes_requested_message


def on_review_seen(builder: DecisionBuilder, signal: ReviewSeen) -> None:
    """Apply a review of the pull request.

    Only reviews by users with write access and by the assigned reviewing agent change anything.
    """
    pull = builder.task.pull
    if pull is None or pull.number != signal.pull_number or not pull.open:
        return
    if signal.reviewer.id == pull.author.id:
        return  # authors cannot approve their own work; GitHub refuses it too
    lease = builder.task.review_lease
    if lease and is_lease_holder(lease, signal.reviewer, signal.agent_names):
        _apply_agent_review(builder, signal, lease, pull)
        return
    if not signal.can_write or not _is_current(builder, signal, pull):
        return
    match signal.state:
        case "approved" | "changes_requested":
            approves, key = signal.state == "approved", f"review:{signal.review_id}"
            apply_person_review(builder, signal.reviewer, approves, signal.body, signal.sha, key, signal.comments)
        case "dismissed":
            approvals = {
                reviewer_id: approval
                for reviewer_id, approval in pull.approvals.items()
                if reviewer_id != signal.reviewer.id
            }
            builder.update_pull(approvals=approvals, requested_changes=None)
            builder.record_progress()
            retry_refused_merge(builder)
            evaluate_completion(builder)


def _is_current(builder: DecisionBuilder, signal: ReviewSeen, pull: Pull) -> bool:
    """Whether this is the reviewer's latest review, and about the present head: the event may be old."""
    submitted_at, last_submitted_at = signal.submitted_at, pull.review_times.get(signal.reviewer.id)
    if submitted_at is None or signal.state == "commented":
        return True
    if last_submitted_at and submitted_at < last_submitted_at.replace(
        microsecond=0 if signal.state == "dismissed" else last_submitted_at.microsecond
    ):
        return False
    # A late event of a dismissed review must not restore it.
    submitted_at += timedelta(microseconds=signal.state == "dismissed")
    builder.update_pull(review_times={**pull.review_times, signal.reviewer.id: submitted_at})
    # Changes requested before the last push may be in it, and an approval was for another commit.
    is_before_push = signal.pull_updated_at is not None and signal.pull_updated_at < pull.updated_at
    return signal.state == "dismissed" or not is_before_push or signal.sha == pull.head_sha


def _apply_agent_review(builder: DecisionBuilder, signal: ReviewSeen, lease: Lease, pull: Pull) -> None:
    """Apply a review that the reviewing agent submitted itself. A comment is a sign of life, not a verdict."""
    if signal.state not in ("approved", "changes_requested"):
        record_heartbeat(builder, lease)
    elif signal.sha != pull.head_sha:
        builder.add_event(EventType.LATE_RESULT, lease=lease, what="review", head=signal.sha)
    else:
        approves, key = signal.state == "approved", f"review:{signal.review_id}"
        verdict = ReviewDelivered(lease.attempt, approves, signal.body, key, signal.comments)
        agent_reviews.on_review_delivered(builder, verdict, signal.reviewer.id)


def apply_person_review(
    builder: DecisionBuilder,
    reviewer: Actor,
    approves: bool,
    text: str,
    sha: str,
    key: str,
    comments: Sequence[LineComment] = (),
) -> None:
    """Apply a review by a user with write access of the present head."""
    pull = builder.task.pull
    if pull is None:
        return
    approvals = {
        reviewer_id: approval for reviewer_id, approval in pull.approvals.items() if reviewer_id != reviewer.id
    }
    if approves:
        approvals[reviewer.id] = Approval(sha, reviewer.is_bot)
    builder.update_pull(approvals=approvals, requested_changes=None)
    builder.record_progress()
    if not approves:
        feedback = agent_reviews.changes_requested(builder, key, reviewer.login, text, comments, sha)
        if builder.task.status is Status.REVIEW:
            send_back(builder, feedback, cancel=False)
            return
        _message_working_agent(builder, reviewer, feedback)
    if approves and not reviewer.is_bot:
        builder.task = builder.task.without_flags(Flag.NEEDS_HUMAN)
    retry_refused_merge(builder)
    evaluate_completion(builder)


def _message_working_agent(builder: DecisionBuilder, reviewer: Actor, feedback: Feedback) -> None:
    """Changes are requested of a draft: tell its agent while it works, so that it need not fail first.

    If the agent cannot be reached or hands in the same commit, `core.decide.pulls.start_review` sends the task back.
    """
    task, lease = builder.task, builder.task.lease
    if task.status is not Status.IN_PROGRESS or lease is None or lease.worker is None:
        return
    pull = builder.update_pull(requested_changes=feedback)
    builder.add_event(
        EventType.TASK_REVIEWED, actor=reviewer.login, verdict="requested changes", pull=pull.number, head=feedback.sha
    )
    text = changes_requested_message(feedback, lease)
    builder.add_effect(
        MessageAgent(task.number, lease.attempt, lease.worker, lease.session, lease.since, feedback.key, text)
    )
