"""What a review of the pull request does to its task."""

from __future__ import annotations

from core.decide.attempts import send_back
from core.decide.draft import Draft
from core.decide.finish import ask_again, evaluate
from core.sanitise import clean, defuse
from core.signals import ReviewSeen
from core.task import Approval, Feedback, Status

BODY_LIMIT = 20_000  # characters of a review that travel to the next attempt; a comment holds 65,536


def seen(draft: Draft, signal: ReviewSeen) -> None:
    """Somebody reviewed the pull request. Only the word of people with write access moves anything."""
    pull = draft.task.pull
    if pull is None or pull.number != signal.pull_number or not pull.open or not signal.can_write:
        return
    if signal.reviewer.id == pull.author.id:
        return  # nobody approves their own work; GitHub refuses it too
    others = {who: approval for who, approval in pull.approvals.items() if who != signal.reviewer.id}
    match signal.state:
        case "approved":
            own = Approval(signal.sha, signal.reviewer.is_bot)
            draft.set_pull(approvals={**others, signal.reviewer.id: own})
        case "dismissed" | "changes_requested":
            draft.set_pull(approvals=others)
        case _:
            return
    draft.moved_on()
    if signal.state == "changes_requested" and draft.task.status is Status.REVIEW:
        send_back(draft, _feedback(signal, draft), cancel=False)
        return
    ask_again(draft)
    evaluate(draft)


def _feedback(signal: ReviewSeen, draft: Draft) -> Feedback:
    body = defuse(clean(signal.body, BODY_LIMIT)).strip() or "The review has no text; see its comments on the lines."
    return Feedback(
        key=f"review:{signal.review_id}",
        title=f"{signal.reviewer.login} asked for changes",
        details=body,
        at=draft.now,
        sha=signal.sha,
    )
