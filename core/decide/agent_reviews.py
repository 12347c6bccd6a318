"""What becomes of an agent's review: it is asked for, and its verdict approves the head or sends the task back.

The reviewer has a lease of its own beside the one of who wrote the work, with a fencing token of its own: the next
number of an attempt.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.assignment.agent_state import Turn
from core.assignment.rules import told
from core.audit.events import EventType
from core.decide.attempts import end_review, send_back
from core.decide.builder import Draft
from core.decide.completion import ask_again, evaluate
from core.decide.escalation import call_person
from core.decide.leases import grant, lost_at, seal
from core.effects.base import StartAgent
from core.escalation.model import Cause
from core.handoff.feedback import Feedback, LineComment
from core.review.definition_of_done import wants_reviewer
from core.signals.base import Assigned, VerdictDelivered
from core.task.model import Approval, Flag, Role
from core.text_safety.sanitize import clean, defuse, mask_secrets, one_line
from core.texts import review_details

BODY_LIMIT = 20_000  # characters of a review that travel to the next attempt; a comment holds 65,536
LINE_LIMIT = 2_000  # characters of one comment on a line
DETAILS_LIMIT = 40_000  # characters of a review with its comments; `comments` has what is cut off here
MOST_LINES = 50  # comments on lines that travel; what is beyond them, the pull request shows


def assigned(draft: Draft, signal: Assigned) -> None:
    """The assignment pass looked for a reviewer."""
    task, choice = draft.task, signal.choice
    pull = task.pull
    if pull is None or not wants_reviewer(task, draft.policy.merge.review):
        return
    if choice.agent is None:
        known = task.choice and (task.choice.role, task.choice.agent, task.choice.reason)
        if known != (choice.role, None, choice.reason):
            draft.set(choice=choice)
            if choice.hopeless:
                call_person(draft, f"no agent can review the pull request: {choice.reason}", Cause.REVIEWER)
        return
    lease = grant(draft, choice.agent, Role.REVIEW, patience=signal.patience)
    draft.set(attempt=lease.attempt, review=lease, choice=choice)
    draft.moved_on()
    draft.task = draft.task.unflagged(Flag.NEEDS_HUMAN)
    draft.tell(EventType.REVIEW_ASSIGNED, lease=lease, pull=pull.number, head=pull.head_sha, **told(choice))
    draft.want(
        StartAgent(
            task.number,
            lease.attempt,
            lease.agent,
            seal(draft, lease),
            since=draft.context.heard_at,
            lost_at=lost_at(task, Role.REVIEW),
        )
    )


def delivered(draft: Draft, signal: VerdictDelivered, reviewer_id: int | None = None) -> None:
    """A reviewing agent's verdict on the head that it was given; that of another attempt is only recorded.

    `reviewer_id` is of the account by which it spoke on GitHub, if it has one: a dismissal names it.
    """
    lease, pull = draft.task.review, draft.task.pull
    if lease is None or lease.attempt != signal.attempt or pull is None:
        draft.tell(EventType.LATE_RESULT, attempt=signal.attempt, what="review", approves=signal.approves)
        return
    text = review_text(signal.text)
    verdict = "approved" if signal.approves else "requested changes"
    draft.moved_on()
    draft.of_agent(lease.agent, Turn.DELIVERED)
    draft.tell(EventType.TASK_REVIEWED, lease=lease, verdict=verdict, pull=pull.number, head=pull.head_sha)
    end_review(draft, "delivered", one_line(f"{verdict}: {text}" if text else verdict, 300), cancel=False)
    if signal.approves:
        approval = Approval(pull.head_sha, by_bot=True, agent=lease.agent)
        draft.set_pull(approvals={**pull.approvals, reviewer_id or -lease.attempt: approval})
        draft.task = draft.task.unflagged(Flag.NEEDS_HUMAN)
        ask_again(draft)
        evaluate(draft)
        return
    key = signal.key or f"verdict:{lease.attempt}"
    send_back(draft, asked_for_changes(draft, key, lease.agent, signal.text, signal.comments), cancel=False)


def asked_for_changes(
    draft: Draft, key: str, who: str, text: str, comments: Sequence[LineComment], sha: str | None = None
) -> Feedback:
    """What somebody wants changed, as the next attempt gets it: the words of the review and those on its lines."""
    kept = tuple(
        LineComment(one_line(c.path, 300), c.line, words)
        for c in comments[:MOST_LINES]
        if (words := defuse(clean(mask_secrets(c.text), LINE_LIMIT)).strip())
    )
    more = len(comments) > MOST_LINES
    details = review_details(review_text(text), kept, more=more, limit=DETAILS_LIMIT)
    pull = draft.task.pull
    return Feedback(
        key, f"{who} requested changes", details, draft.now, sha or (pull.head_sha if pull else None), comments=kept
    )


def review_text(text: str) -> str:
    """The words of a review, as they may be shown and handed on."""
    return defuse(clean(mask_secrets(text), BODY_LIMIT)).strip()
