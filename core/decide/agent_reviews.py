"""Assigns a reviewing agent and applies its verdict: approve the head or send the task back.

The reviewer has its own lease beside the implementer's, with its own fencing token: the next attempt number.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.assignment.agent_state import StateChangeKind
from core.assignment.rules import choice_payload
from core.audit.events import EventType
from core.decide.attempts import end_review, send_back
from core.decide.builder import DecisionBuilder
from core.decide.completion import evaluate_completion, retry_refused_merge
from core.decide.escalation import escalate
from core.decide.leases import grant_lease, start_agent
from core.escalation.model import EscalationCause
from core.handoff.feedback import Feedback, LineComment
from core.review.definition_of_done import needs_reviewer
from core.signals.base import Assigned, ReviewDelivered
from core.task.model import Approval, Flag, Role
from core.text_safety.sanitize import clean, defuse, mask_secrets, one_line
from core.texts import review_details

REVIEW_LIMIT = 20_000  # characters of a review that the next attempt receives; a comment holds 65,536
LINE_COMMENT_LIMIT = 2_000  # characters of one line comment
DETAILS_LIMIT = 40_000  # characters of a review with its line comments; `comments` has what is cut off here
MAX_LINE_COMMENTS = 50  # line comments that the next attempt receives; the pull request shows the others


def on_review_assigned(builder: DecisionBuilder, signal: Assigned) -> None:
    """Apply the assignment of a reviewer, or record that none was found."""
    task, choice = builder.task, signal.choice
    pull = task.pull
    if pull is None or not needs_reviewer(task, builder.policy.merge.review):
        return
    if choice.agent is None:
        previous_choice = task.choice and (task.choice.role, task.choice.agent, task.choice.reason)
        if previous_choice != (choice.role, None, choice.reason):
            builder.update_task(choice=choice)
            if choice.is_unassignable:
                escalate(builder, f"no agent can review the pull request: {choice.reason}", EscalationCause.REVIEWER)
        return
    lease = grant_lease(builder, choice.agent, Role.REVIEW, patience=signal.learned_timeout)
    builder.update_task(attempt=lease.attempt, review_lease=lease, choice=choice)
    builder.record_progress()
    builder.task = builder.task.without_flags(Flag.NEEDS_HUMAN)
    builder.add_event(
        EventType.REVIEW_ASSIGNED, lease=lease, pull=pull.number, head=pull.head_sha, **choice_payload(choice)
    )
    start_agent(builder, lease)


def on_review_delivered(builder: DecisionBuilder, signal: ReviewDelivered, reviewer_id: int | None = None) -> None:
    """Apply a reviewing agent's verdict on the head that it received; a verdict of another attempt is only recorded.

    `reviewer_id` is the id of the GitHub account that submitted it, if there is one: a dismissal names it.
    """
    lease, pull = builder.task.review_lease, builder.task.pull
    if lease is None or lease.attempt != signal.attempt or pull is None:
        builder.add_event(EventType.LATE_RESULT, attempt=signal.attempt, what="review", approves=signal.approves)
        return
    text = review_text(signal.text)
    verdict = "approved" if signal.approves else "requested changes"
    builder.record_progress()
    builder.update_agent(lease.agent, StateChangeKind.DELIVERED)
    builder.add_event(EventType.TASK_REVIEWED, lease=lease, verdict=verdict, pull=pull.number, head=pull.head_sha)
    end_review(builder, "delivered", one_line(f"{verdict}: {text}" if text else verdict, 300), cancel=False)
    if signal.approves:
        approval = Approval(pull.head_sha, by_bot=True, agent=lease.agent)
        builder.update_pull(approvals={**pull.approvals, reviewer_id or -lease.attempt: approval})
        builder.task = builder.task.without_flags(Flag.NEEDS_HUMAN)
        retry_refused_merge(builder)
        evaluate_completion(builder)
        return
    key = signal.key or f"verdict:{lease.attempt}"
    send_back(builder, changes_requested(builder, key, lease.agent, signal.text, signal.comments), cancel=False)


def changes_requested(
    builder: DecisionBuilder,
    key: str,
    reviewer: str,
    text: str,
    comments: Sequence[LineComment],
    sha: str | None = None,
) -> Feedback:
    """The requested changes as feedback for the next attempt: the review's text and its line comments."""
    line_comments = tuple(
        LineComment(one_line(comment.path, 300), comment.line, comment_text)
        for comment in comments[:MAX_LINE_COMMENTS]
        if (comment_text := defuse(clean(mask_secrets(comment.text), LINE_COMMENT_LIMIT)).strip())
    )
    is_truncated = len(comments) > MAX_LINE_COMMENTS
    details = review_details(review_text(text), line_comments, is_truncated=is_truncated, limit=DETAILS_LIMIT)
    pull = builder.task.pull
    return Feedback(
        key,
        f"{reviewer} requested changes",
        details,
        builder.now,
        sha or (pull.head_sha if pull else None),
        comments=line_comments,
    )


def review_text(text: str) -> str:
    """The text of a review, safe to show and hand on."""
    return defuse(clean(mask_secrets(text), REVIEW_LIMIT)).strip()
