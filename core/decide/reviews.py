"""What a review of the pull request does to its task."""

from __future__ import annotations

from core.decide.attempts import send_back
from core.decide.draft import Draft
from core.decide.finish import evaluate
from core.sanitise import clean, defuse
from core.signals import ReviewSeen
from core.task import Feedback, Status

BODY_LIMIT = 20_000  # characters of a review that travel to the next attempt; a comment holds 65,536


def seen(draft: Draft, signal: ReviewSeen) -> None:
    """Somebody reviewed the pull request. Only the word of people with write access moves anything."""
    pull = draft.task.pull
    if pull is None or pull.number != signal.pull_number or not pull.open or not signal.can_write:
        return
    others = {who: sha for who, sha in pull.approvals.items() if who != signal.reviewer.id}
    if signal.reviewer.id == pull.author.id:
        return  # nobody approves their own work; GitHub refuses it too
    match signal.state:
        case "approved":
            draft.set_pull(approvals={**others, signal.reviewer.id: signal.sha})
        case "dismissed":
            draft.set_pull(approvals=others)
        case "changes_requested" if draft.task.status is Status.REVIEW:
            draft.set_pull(approvals=others)
            send_back(draft, _feedback(signal, draft), cancel=False)
            return
        case _:
            return
    if draft.task.pull and draft.task.pull.merge_requested_sha and not draft.task.pull.merged:
        draft.set_pull(merge_requested_sha=None)  # an approval may be what GitHub's refusal asked for
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
