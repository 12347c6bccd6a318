"""REST: reviews, review comments, requested reviewers."""

from __future__ import annotations

from typing import Any

from sandbox.errors import ApiError, invalid_request, not_found
from sandbox.http.rest.reactions import add_reaction, reaction_page, remove_reaction
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import pulls as pull_serializer
from sandbox.services import reviews
from sandbox.state.models import Review, ReviewComment, User, role_at_least

PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
REVIEW = f"{PULL}/reviews/{{review_id}}"
COMMENT = "/repos/{owner}/{repo}/pulls/comments/{comment_id}"
READ, WRITE = "pull_requests:read", "pull_requests:write"


def _find_review(call: Call) -> Review:
    review_id = call.number("review_id")
    for review in call.pull().reviews:
        if review.id == review_id and (review.state != "PENDING" or review.user is call.credential.user):
            return review
    raise not_found()


def _review_reply(call: Call, review: Review) -> Reply:
    return Reply(200, pull_serializer.review(call.hub, review))


@route("GET", f"{PULL}/reviews", "pulls/list-reviews", permission=READ)
async def list_reviews(call: Call) -> Reply:
    """Submitted reviews, oldest first, and the sender's pending review."""
    review_list = [
        candidate
        for candidate in call.pull().reviews
        if candidate.state != "PENDING" or candidate.user is call.credential.user
    ]
    return call.paginate(review_list, lambda review: pull_serializer.review(call.hub, review))


@route("POST", f"{PULL}/reviews", "pulls/create-review", permission=WRITE, role="read", content=True)
async def create_review(call: Call) -> Reply:
    """Write a review; without an event it stays pending."""
    comments: list[dict[str, Any]] = call.field("comments", list) or []
    review = reviews.create_review(
        call.hub,
        call.pull(),
        call.actor,
        event=call.text("event"),
        body=call.text("body") or "",
        commit_id=call.text("commit_id"),
        comments=comments,
    )
    return _review_reply(call, review)


@route("GET", REVIEW, "pulls/get-review", permission=READ)
async def get_review(call: Call) -> Reply:
    """One review."""
    return _review_reply(call, _find_review(call))


@route("PUT", REVIEW, "pulls/update-review", permission=WRITE, role="read")
async def update_review(call: Call) -> Reply:
    """Edit the sender's review."""
    review = _find_review(call)
    if review.user is not call.actor:
        raise not_found()
    review.body = call.required("body", str)
    return _review_reply(call, review)


@route("DELETE", REVIEW, "pulls/delete-pending-review", permission=WRITE, role="read")
async def delete_review(call: Call) -> Reply:
    """Delete a pending review."""
    review = _find_review(call)
    if review.state != "PENDING":
        raise ApiError(422, "Can not delete a non-pending pull request review")
    review.pull.reviews.remove(review)
    return _review_reply(call, review)


@route("POST", f"{REVIEW}/events", "pulls/submit-review", permission=WRITE, role="read", content=True)
async def submit_review(call: Call) -> Reply:
    """Submit a pending review."""
    review, event = _find_review(call), call.required("event", str)
    if event not in reviews.STATES or review.state != "PENDING":
        raise ApiError(422, "Can not submit this review with that event")
    reviews.submit(call.hub, review, call.actor, event, call.text("body") or "")
    return _review_reply(call, review)


@route("PUT", f"{REVIEW}/dismissals", "pulls/dismiss-review", permission=WRITE, role="write")
async def dismiss_review(call: Call) -> Reply:
    """Dismiss a review."""
    review = _find_review(call)
    reviews.dismiss(call.hub, review, call.actor, call.required("message", str))
    return _review_reply(call, review)


def _find_reviewers(call: Call) -> list[User]:
    logins: list[str] = call.field("reviewers", list) or []
    people = [call.hub.users.get(str(login).lower()) for login in logins]
    if None in people:
        raise ApiError(422, "Could not resolve to a node with the login of one of the reviewers.")
    return [users for users in people if users is not None]


@route("POST", f"{PULL}/requested_reviewers", "pulls/request-reviewers", permission=WRITE)
async def request_reviewers(call: Call) -> Reply:
    """Request reviews."""
    pull = call.pull()
    reviews.request_reviewers(call.hub, pull, call.actor, _find_reviewers(call))
    return Reply(201, pull_serializer.simple_pull(call.hub, pull))


@route("DELETE", f"{PULL}/requested_reviewers", "pulls/remove-requested-reviewers", permission=WRITE)
async def remove_reviewers(call: Call) -> Reply:
    """Remove requested reviewers."""
    pull = call.pull()
    reviews.remove_reviewers(call.hub, pull, call.actor, _find_reviewers(call))
    return Reply(200, pull_serializer.simple_pull(call.hub, pull))


# Comments on lines


def _find_comment(call: Call) -> ReviewComment:
    comment_id = call.number("comment_id")
    for pull in call.repository.pulls():
        for comment in pull.review_comments:
            if comment.id == comment_id:
                return comment
    raise not_found()


def _find_editable_comment(call: Call) -> ReviewComment:
    comment = _find_comment(call)
    if comment.user is not call.actor and (
        call.credential.kind == "user" and not role_at_least(call.repository.role_of(call.actor), "write")
    ):
        raise ApiError(403, "Must have admin rights to Repository.")
    return comment


@route("GET", f"{PULL}/comments", "pulls/list-review-comments", permission=READ)
async def list_comments(call: Call) -> Reply:
    """Comments on the lines of one pull request."""
    review_comments = call.pull().review_comments  # oldest first
    if call.query.get("sort") and call.query.get("direction") == "desc":
        review_comments = review_comments[::-1]
    return call.paginate(review_comments, lambda comment: pull_serializer.review_comment(call.hub, comment))


@route("GET", "/repos/{owner}/{repo}/pulls/comments", "pulls/list-review-comments-for-repo", permission=READ)
async def list_all_comments(call: Call) -> Reply:
    """Comments on lines of all pull requests."""
    review_comments = [comment for pull in call.repository.pulls() for comment in pull.review_comments]
    return call.paginate(review_comments, lambda comment: pull_serializer.review_comment(call.hub, comment))


@route("POST", f"{PULL}/comments", "pulls/create-review-comment", permission=WRITE, role="read", content=True)
async def create_comment(call: Call) -> Reply:
    """Comment on a line or a file."""
    if not isinstance(call.body, dict):
        raise invalid_request('"body" wasn\'t supplied.')
    comment = reviews.add_comment(call.hub, call.pull(), call.actor, call.body)
    reviews.emit_comment(call.hub, comment, "created", call.actor)
    return Reply(201, pull_serializer.review_comment(call.hub, comment))


@route(
    "POST",
    f"{PULL}/comments/{{comment_id}}/replies",
    "pulls/create-reply-for-review-comment",
    permission=WRITE,
    role="read",
    content=True,
)
async def create_reply(call: Call) -> Reply:
    """Answer a comment on a line."""
    parent = _find_comment(call)
    fields = {
        "body": call.required("body", str),
        "path": parent.path,
        "line": parent.line,
        "side": parent.side,
        "commit_id": parent.commit_id,
        "in_reply_to": parent.in_reply_to or parent.id,
    }
    comment = reviews.add_comment(call.hub, call.pull(), call.actor, fields)
    reviews.emit_comment(call.hub, comment, "created", call.actor)
    return Reply(201, pull_serializer.review_comment(call.hub, comment))


@route("GET", COMMENT, "pulls/get-review-comment", permission=READ)
async def get_comment(call: Call) -> Reply:
    """One comment on a line."""
    return Reply(200, pull_serializer.review_comment(call.hub, _find_comment(call)))


@route("PATCH", COMMENT, "pulls/update-review-comment", permission=WRITE, role="read")
async def update_comment(call: Call) -> Reply:
    """Change a comment on a line."""
    comment = _find_editable_comment(call)
    old_body, comment.body = comment.body, call.required("body", str)
    comment.updated_at = call.hub.now()
    reviews.emit_comment(call.hub, comment, "edited", call.actor, changes={"body": {"from": old_body}})
    return Reply(200, pull_serializer.review_comment(call.hub, comment))


@route("DELETE", COMMENT, "pulls/delete-review-comment", permission=WRITE, role="read")
async def delete_comment(call: Call) -> Reply:
    """Delete a comment on a line."""
    comment = _find_editable_comment(call)
    comment.pull.review_comments.remove(comment)
    reviews.emit_comment(call.hub, comment, "deleted", call.actor)
    return Reply(204)


@route("GET", f"{COMMENT}/reactions", "reactions/list-for-pull-request-review-comment", permission=READ)
async def list_reactions(call: Call) -> Reply:
    """The reactions to a comment on a line."""
    return reaction_page(call, _find_comment(call).reactions)


@route(
    "POST",
    f"{COMMENT}/reactions",
    "reactions/create-for-pull-request-review-comment",
    permission=WRITE,
    role="read",
    content=True,
)
async def create_reaction(call: Call) -> Reply:
    """React to a comment on a line."""
    return add_reaction(call, _find_comment(call).reactions)


@route(
    "DELETE",
    f"{COMMENT}/reactions/{{reaction_id}}",
    "reactions/delete-for-pull-request-comment",
    permission=WRITE,
    role="read",
)
async def delete_reaction(call: Call) -> Reply:
    """Delete the sender's reaction."""
    return remove_reaction(call, _find_comment(call).reactions)
