"""Create, submit, dismiss and request reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.errors import ApiError
from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.serializers import pulls as pull_serializer
from sandbox.services.pulls import refresh_state
from sandbox.state.models import PullRequest, Review, ReviewComment, User

STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def _emit(hub: Hub, review: Review, action: str, sender: User) -> None:
    hub.emit(
        review.pull.repository,
        "pull_request_review",
        action,
        sender=sender,
        review=pull_serializer.review(hub, review, webhook=True),
        pull_request=pull_serializer.simple_pull(hub, review.pull),
    )


def create_review(
    hub: Hub,
    pull: PullRequest,
    actor: User,
    *,
    event: str | None,
    body: str = "",
    commit_id: str | None = None,
    comments: Sequence[dict[str, Any]] = (),
) -> Review:
    """Write a review; without an `event` it stays pending. Raises ApiError 422 as GitHub does."""
    if event is not None and event not in STATES:
        raise ApiError(422, "Variable $event of type PullRequestReviewEvent was provided invalid value")
    review = Review(
        id=hub.new_id(),
        pull=pull,
        user=actor,
        state="PENDING",
        body=body,
        commit_id=commit_id or pull.head_sha,
        submitted_at=hub.now(),
    )
    _validate(review, event, has_comments=bool(comments))
    pull.reviews.append(review)
    for comment in comments:
        add_comment(hub, pull, actor, comment, review=review)
    if event is not None:
        submit(hub, review, actor, event, body)
    return review


def _validate(review: Review, event: str | None, *, has_comments: bool) -> None:
    is_own_pull = review.pull.user is review.user
    if event == "APPROVE" and is_own_pull:
        raise ApiError(422, "Unprocessable Entity", errors=["Can not approve your own pull request"])
    if event == "REQUEST_CHANGES" and is_own_pull:
        raise ApiError(422, "Unprocessable Entity", errors=["Can not request changes on your own pull request"])
    if event in ("REQUEST_CHANGES", "COMMENT") and not review.body.strip() and not has_comments:
        raise ApiError(422, "Unprocessable Entity", errors=["Body can't be blank"])


def submit(hub: Hub, review: Review, actor: User, event: str, body: str = "") -> None:
    """Submit a pending review. Raises ApiError 422 as GitHub does."""
    review.body = body or review.body
    has_comments = any(comment.review is review for comment in review.pull.review_comments)
    _validate(review, event, has_comments=has_comments)
    review.state, review.submitted_at = STATES[event], hub.now()
    pull = review.pull
    pull.issue.updated_at = hub.now()
    pull.requested_reviewers = [user for user in pull.requested_reviewers if user is not actor]
    refresh_state(pull)
    _emit(hub, review, "submitted", actor)


def dismiss(hub: Hub, review: Review, actor: User, message: str) -> None:
    """Dismiss a review. Raises ApiError 422 when it can not be dismissed."""
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise ApiError(
            422, "Unprocessable Entity", errors=["Can not dismiss a commented or pending pull request review"]
        )
    if not message.strip():
        raise ApiError(422, "Unprocessable Entity", errors=["Message can't be blank"])
    review.state = "DISMISSED"
    refresh_state(review.pull)
    _emit(hub, review, "dismissed", actor)


def add_comment(
    hub: Hub, pull: PullRequest, actor: User, fields: dict[str, Any], *, review: Review | None = None
) -> ReviewComment:
    """Write a comment on a line (or a whole file) of the diff. Raises ApiError 422 without path or text."""
    body, path = fields.get("body"), fields.get("path")
    if not isinstance(body, str) or not body.strip() or not isinstance(path, str):
        raise ApiError(422, "Validation Failed", errors=["A review comment needs a `path` and a `body`"])
    now = hub.now()
    comment = ReviewComment(
        id=hub.new_id(),
        pull=pull,
        review=review,
        user=actor,
        body=body,
        path=path,
        commit_id=str(fields.get("commit_id") or pull.head_sha),
        created_at=now,
        updated_at=now,
        line=fields.get("line") or fields.get("position"),
        side=str(fields.get("side") or "RIGHT"),
        start_line=fields.get("start_line"),
        in_reply_to=fields.get("in_reply_to"),
    )
    pull.review_comments.append(comment)
    return comment


def emit_comment(hub: Hub, comment: ReviewComment, action: str, sender: User, **fields: Any) -> None:
    """Send a `pull_request_review_comment` webhook."""
    hub.emit(
        comment.pull.repository,
        "pull_request_review_comment",
        action,
        sender=sender,
        comment=pull_serializer.review_comment(hub, comment),
        pull_request=pull_serializer.simple_pull(hub, comment.pull),
        **fields,
    )


def request_reviewers(hub: Hub, pull: PullRequest, actor: User, reviewers: Sequence[User]) -> None:
    """Request reviews. Raises ApiError 422 for the author and for people without access."""
    for user in reviewers:
        if user is pull.user:
            raise ApiError(422, "Review cannot be requested from pull request author.")
        if not pull.repository.is_collaborator(user):
            raise ApiError(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you "
                f"specified is not a collaborator of the {pull.repository.full_name} repository.",
            )
    for user in reviewers:
        if user not in pull.requested_reviewers:
            pull.requested_reviewers.append(user)
            _emit_review_request(hub, pull, actor, user, "review_requested")


def remove_reviewers(hub: Hub, pull: PullRequest, actor: User, reviewers: Sequence[User]) -> None:
    """Remove requested reviewers."""
    for user in reviewers:
        if user in pull.requested_reviewers:
            pull.requested_reviewers.remove(user)
            _emit_review_request(hub, pull, actor, user, "review_request_removed")


def _emit_review_request(hub: Hub, pull: PullRequest, actor: User, user: User, action: str) -> None:
    hub.emit(
        pull.repository,
        "pull_request",
        action,
        sender=actor,
        number=pull.number,
        pull_request=pull_serializer.pull_request(hub, pull),
        requested_reviewer=issue_serializer.user(hub, user),
    )
