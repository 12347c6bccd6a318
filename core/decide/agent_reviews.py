"""What becomes of an agent's review: it is asked for, and its verdict approves the head or sends the task back.

The reviewer has a lease of its own beside the one of who wrote the work, with a fencing token of its own: the next
number of an attempt.
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
from core.decide.leases import grant_lease, handoff_packet, previous_failure_at
from core.effects.base import StartAgent
from core.escalation.model import EscalationCause
from core.handoff.feedback import Feedback, LineComment
from core.review.definition_of_done import wants_reviewer
from core.signals.base import Assigned, ReviewDelivered
from core.task.model import Approval, Flag, Role
from core.text_safety.sanitize import clean, defuse, mask_secrets, one_line
from core.texts import review_details

REVIEW_LIMIT = 20_000  # characters of a review that travel to the next attempt; a comment holds 65,536
LINE_COMMENT_LIMIT = 2_000  # characters of one comment on a line
DETAILS_LIMIT = 40_000  # characters of a review with its comments; `comments` has what is cut off here
MAX_LINE_COMMENTS = 50  # comments on lines that travel; what is beyond them, the pull request shows


def on_review_assigned(builder: DecisionBuilder, signal: Assigned) -> None:
    """The assignment pass looked for a reviewer."""
    task, choice = builder.task, signal.choice
    pull = task.pull
    if pull is None or not wants_reviewer(task, builder.policy.merge.review):
        return
    if choice.agent is None:
        previous_choice = task.choice and (task.choice.role, task.choice.agent, task.choice.reason)
        if previous_choice != (choice.role, None, choice.reason):
            builder.update_task(choice=choice)
            if choice.hopeless:
                escalate(builder, f"no agent can review the pull request: {choice.reason}", EscalationCause.REVIEWER)
        return
    lease = grant_lease(builder, choice.agent, Role.REVIEW, patience=signal.patience)
    builder.update_task(attempt=lease.attempt, review=lease, choice=choice)
    builder.record_progress()
    builder.task = builder.task.unflagged(Flag.NEEDS_HUMAN)
    builder.add_event(
        EventType.REVIEW_ASSIGNED, lease=lease, pull=pull.number, head=pull.head_sha, **choice_payload(choice)
    )
    builder.add_effect(
        StartAgent(
            task.number,
            lease.attempt,
            lease.agent,
            handoff_packet(builder, lease),
            since=builder.context.received_at,
            lost_at=previous_failure_at(task, Role.REVIEW),
        )
    )


def on_review_delivered(builder: DecisionBuilder, signal: ReviewDelivered, reviewer_id: int | None = None) -> None:
    """A reviewing agent's verdict on the head that it was given; that of another attempt is only recorded.

    `reviewer_id` is of the account by which it spoke on GitHub, if it has one: a dismissal names it.
    """
    lease, pull = builder.task.review, builder.task.pull
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
        builder.task = builder.task.unflagged(Flag.NEEDS_HUMAN)
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
    """What somebody wants changed, as the next attempt gets it: the words of the review and those on its lines."""
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
    """The words of a review, as they may be shown and handed on."""
    return defuse(clean(mask_secrets(text), REVIEW_LIMIT)).strip()
