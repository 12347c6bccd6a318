"""Comments on issues and pull requests."""

from __future__ import annotations

from datetime import datetime

from sandbox.errors import ApiError, invalid, not_found
from sandbox.http.rest.issues import READ, WRITE
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import comments
from sandbox.state.models import Comment

ISSUE_COMMENTS = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
COMMENTS = "/repos/{owner}/{repo}/issues/comments"
COMMENT = COMMENTS + "/{comment_id}"


@route("GET", ISSUE_COMMENTS, "issues/list-comments", permission=READ)
async def list_issue_comments(call: Call) -> Reply:
    """The comments of an issue, oldest first."""
    comment_list = _filter_since(call, list(call.issue().comments))
    return call.paginate(comment_list, lambda issue_comments: issue_serializer.comment(call.hub, issue_comments))


@route("POST", ISSUE_COMMENTS, "issues/create-comment", permission=WRITE, role="read", content=True)
async def create_comment(call: Call) -> Reply:
    """Create a comment."""
    text = call.required("body", str)
    comment = comments.create(call.hub, call.issue(), call.actor, text, via_app=call.via_app)
    body = issue_serializer.comment(call.hub, comment)
    return Reply(201, body, {"Location": body["url"]})


@route("GET", COMMENTS, "issues/list-comments-for-repo", permission=READ)
async def list_comments(call: Call) -> Reply:
    """All comments of the repository, by id or by time."""
    comment_list = _filter_since(call, list(call.repository.comments()))
    is_sorted_by_update = call.query.get("sort") == "updated"
    comment_list.sort(
        key=lambda all_comments: (
            (all_comments.updated_at if is_sorted_by_update else all_comments.created_at),
            all_comments.id,
        ),
        reverse=call.query.get("direction") == "desc",
    )
    return call.paginate(comment_list, lambda all_comments: issue_serializer.comment(call.hub, all_comments))


@route("GET", COMMENT, "issues/get-comment", permission=READ)
async def get_comment(call: Call) -> Reply:
    """One comment."""
    return Reply(200, issue_serializer.comment(call.hub, find_comment(call)))


@route("PATCH", COMMENT, "issues/update-comment", permission=WRITE, role="read")
async def update_comment(call: Call) -> Reply:
    """Edit a comment: the sender's own, or any with write access."""
    comment = find_comment(call)
    _check_can_edit(call, comment)
    comments.edit(call.hub, comment, call.actor, call.required("body", str))
    return Reply(200, issue_serializer.comment(call.hub, comment))


@route("DELETE", COMMENT, "issues/delete-comment", permission=WRITE, role="read")
async def delete_comment(call: Call) -> Reply:
    """Delete a comment: the sender's own, or any with write access."""
    comment = find_comment(call)
    _check_can_edit(call, comment)
    comments.delete(call.hub, comment, call.actor)
    return Reply(204)


def find_comment(call: Call) -> Comment:
    """The comment that the path names. Raises ApiError 404."""
    comment = comments.find(call.repository, call.number("comment_id"))
    if comment is None:
        raise not_found()
    return comment


def _check_can_edit(call: Call, comment: Comment) -> None:
    if call.credential.kind == "user" and not comments.can_edit(comment, call.actor):
        raise ApiError(403, "Must have admin rights to Repository.")


def _filter_since(call: Call, comment_list: list[Comment]) -> list[Comment]:
    text = call.query.get("since")
    if text is None:
        return comment_list
    try:
        since = datetime.fromisoformat(text)
        return [candidates for candidates in comment_list if candidates.updated_at >= since]
    except (ValueError, TypeError) as error:
        raise invalid("IssueComment", "since") from error
