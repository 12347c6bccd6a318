"""What a review of the pull request does to its task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.audit.events import EventType
from core.commands.registry import holds
from core.decide import agent_reviews
from core.decide.agents import show_life
from core.decide.attempts import send_back
from core.decide.builder import Draft
from core.decide.completion import ask_again, evaluate
from core.effects.base import SteerAgent
from core.handoff.feedback import Feedback, LineComment
from core.signals.base import ReviewSeen, VerdictDelivered
from core.task.model import Actor, Approval, Flag, Lease, Pull, Status
from core.texts import asked_meanwhile


def seen(draft: Draft, signal: ReviewSeen) -> None:
    """Somebody reviewed the pull request.

    Only the word of people with write access moves anything, and that of the agent that was asked to review.
    """
    pull = draft.task.pull
    if pull is None or pull.number != signal.pull_number or not pull.open:
        return
    if signal.reviewer.id == pull.author.id:
        return  # nobody approves their own work; GitHub refuses it too
    asked = draft.task.review
    if asked and holds(asked, signal.reviewer, signal.workers):
        _by_the_agent(draft, signal, asked, pull)
        return
    if not signal.can_write or not _holds_still(draft, signal, pull):
        return
    match signal.state:
        case "approved" | "changes_requested":
            approves, key = signal.state == "approved", f"review:{signal.review_id}"
            by_person(draft, signal.reviewer, approves, signal.body, signal.sha, key, signal.comments)
        case "dismissed":
            others = {who: approval for who, approval in pull.approvals.items() if who != signal.reviewer.id}
            draft.set_pull(approvals=others, asked=None)
            draft.moved_on()
            ask_again(draft)
            evaluate(draft)


def _holds_still(draft: Draft, signal: ReviewSeen, pull: Pull) -> bool:
    """Whether this is the reviewer's last word, and of the pull request as it stands: the news may be old."""
    at, last = signal.submitted_at, pull.verdicts.get(signal.reviewer.id)
    if at is None or signal.state == "commented":
        return True
    if last and at < last.replace(microsecond=0 if signal.state == "dismissed" else last.microsecond):
        return False
    # What was dismissed is not given again by the late news of it.
    at += timedelta(microseconds=signal.state == "dismissed")
    draft.set_pull(verdicts={**pull.verdicts, signal.reviewer.id: at})
    # Changes that were asked for before the last push may be in it, and an approval was of another commit.
    before_push = signal.pull_updated_at is not None and signal.pull_updated_at < pull.updated_at
    return signal.state == "dismissed" or not before_push or signal.sha == pull.head_sha


def _by_the_agent(draft: Draft, signal: ReviewSeen, asked: Lease, pull: Pull) -> None:
    """The reviewing agent spoke as an account of its own. What it only comments is a sign of life, and no verdict."""
    if signal.state not in ("approved", "changes_requested"):
        show_life(draft, asked)
    elif signal.sha != pull.head_sha:
        draft.tell(EventType.LATE_RESULT, lease=asked, what="review", head=signal.sha)
    else:
        approves, key = signal.state == "approved", f"review:{signal.review_id}"
        verdict = VerdictDelivered(asked.attempt, approves, signal.body, key, signal.comments)
        agent_reviews.delivered(draft, verdict, signal.reviewer.id)


def by_person(
    draft: Draft,
    reviewer: Actor,
    approves: bool,
    text: str,
    sha: str,
    key: str,
    comments: Sequence[LineComment] = (),
) -> None:
    """What a person with write access says of the pull request as it stands."""
    pull = draft.task.pull
    if pull is None:
        return
    approvals = {who: approval for who, approval in pull.approvals.items() if who != reviewer.id}
    if approves:
        approvals[reviewer.id] = Approval(sha, reviewer.is_bot)
    draft.set_pull(approvals=approvals, asked=None)
    draft.moved_on()
    if not approves:
        feedback = agent_reviews.asked_for_changes(draft, key, reviewer.login, text, comments, sha)
        if draft.task.status is Status.REVIEW:
            send_back(draft, feedback, cancel=False)
            return
        _tell_at_work(draft, reviewer, feedback)
    if approves and not reviewer.is_bot:
        draft.task = draft.task.unflagged(Flag.NEEDS_HUMAN)
    ask_again(draft)
    evaluate(draft)


def _tell_at_work(draft: Draft, reviewer: Actor, feedback: Feedback) -> None:
    """Changes are asked for of a draft: its agent is told while it works, so that it need not fail first.

    One that cannot be told, or does not listen, hands in the same commit: see `core.decide.pulls.hand_in`.
    """
    task, lease = draft.task, draft.task.lease
    if task.status is not Status.IN_PROGRESS or lease is None or lease.worker is None:
        return
    pull = draft.set_pull(asked=feedback)
    draft.tell(
        EventType.TASK_REVIEWED, actor=reviewer.login, verdict="requested changes", pull=pull.number, head=feedback.sha
    )
    text = asked_meanwhile(feedback, lease)
    draft.want(SteerAgent(task.number, lease.attempt, lease.worker, lease.session, lease.since, feedback.key, text))
