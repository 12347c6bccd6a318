"""Comments on issues and pull requests."""

from __future__ import annotations

from datetime import datetime

from sandbox.errors import ApiError, invalid, not_found
from sandbox.http.rest.issues import READ, WRITE
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import comments
from sandbox.state.models import Comment

ON_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
ALL = "/repos/{owner}/{repo}/issues/comments"
ONE = ALL + "/{comment_id}"


@route("GET", ON_ISSUE, "issues/list-comments", permission=READ)
async def list_on_issue(call: Call) -> Reply:
    """The comments of an issue, oldest first."""
    comment_list = _since(call, list(call.issue().comments))
    return call.paginate(comment_list, lambda comment: issue_serializer.comment(call.hub, comment))


@route("POST", ON_ISSUE, "issues/create-comment", permission=WRITE, role="read", content=True)
async def create(call: Call) -> Reply:
    """Create a comment."""
    text = call.required("body", str)
    made = comments.create(call.hub, call.issue(), call.actor, text, via_app=call.via_app)
    body = issue_serializer.comment(call.hub, made)
    return Reply(201, body, {"Location": body["url"]})


@route("GET", ALL, "issues/list-comments-for-repo", permission=READ)
async def list_all(call: Call) -> Reply:
    """All comments of the repository, by id or by time."""
    comment_list = _since(call, list(call.repository.comments()))
    by_update = call.query.get("sort") == "updated"
    comment_list.sort(
        key=lambda comment: ((comment.updated_at if by_update else comment.created_at), comment.id),
        reverse=call.query.get("direction") == "desc",
    )
    return call.paginate(comment_list, lambda comment: issue_serializer.comment(call.hub, comment))


@route("GET", ONE, "issues/get-comment", permission=READ)
async def get(call: Call) -> Reply:
    """One comment."""
    return Reply(200, issue_serializer.comment(call.hub, find(call)))


@route("PATCH", ONE, "issues/update-comment", permission=WRITE, role="read")
async def update(call: Call) -> Reply:
    """Edit a comment: the sender's own, or any with write access."""
    comment = find(call)
    _may_change(call, comment)
    comments.edit(call.hub, comment, call.actor, call.required("body", str))
    return Reply(200, issue_serializer.comment(call.hub, comment))


@route("DELETE", ONE, "issues/delete-comment", permission=WRITE, role="read")
async def delete(call: Call) -> Reply:
    """Delete a comment: the sender's own, or any with write access."""
    comment = find(call)
    _may_change(call, comment)
    comments.delete(call.hub, comment, call.actor)
    return Reply(204)


def find(call: Call) -> Comment:
    """The comment that the path names. Raises ApiError 404."""
    comment = comments.find(call.repository, call.number("comment_id"))
    if comment is None:
        raise not_found()
    return comment


def _may_change(call: Call, comment: Comment) -> None:
    if call.credential.kind == "user" and not comments.can_edit(comment, call.actor):
        raise ApiError(403, "Must have admin rights to Repository.")


def _since(call: Call, comment_list: list[Comment]) -> list[Comment]:
    text = call.query.get("since")
    if text is None:
        return comment_list
    try:
        since = datetime.fromisoformat(text)
        return [comment for comment in comment_list if comment.updated_at >= since]
    except (ValueError, TypeError) as error:
        raise invalid("IssueComment", "since") from error
