"""Reactions to issues and to comments."""

from __future__ import annotations

from sandbox.errors import ApiError, not_found
from sandbox.http.rest.comments import find
from sandbox.http.rest.issues import READ, WRITE
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import comments
from sandbox.state.models import Reaction

TO_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}/reactions"
TO_COMMENT = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"


@route("GET", TO_ISSUE, "reactions/list-for-issue", permission=READ)
async def list_for_issue(call: Call) -> Reply:
    """The reactions to an issue."""
    return listed(call, call.issue().reactions)


@route("POST", TO_ISSUE, "reactions/create-for-issue", permission=WRITE, role="read", content=True)
async def react_to_issue(call: Call) -> Reply:
    """React to an issue: 201, or 200 when the reaction existed."""
    return added(call, call.issue().reactions)


@route("DELETE", TO_ISSUE + "/{reaction_id}", "reactions/delete-for-issue", permission=WRITE, role="read")
async def take_from_issue(call: Call) -> Reply:
    """Delete the sender's reaction."""
    return taken(call, call.issue().reactions)


@route("GET", TO_COMMENT, "reactions/list-for-issue-comment", permission=READ)
async def list_for_comment(call: Call) -> Reply:
    """The reactions to a comment."""
    return listed(call, find(call).reactions)


@route("POST", TO_COMMENT, "reactions/create-for-issue-comment", permission=WRITE, role="read", content=True)
async def react_to_comment(call: Call) -> Reply:
    """React to a comment: 201, or 200 when the reaction existed."""
    return added(call, find(call).reactions)


@route(
    "DELETE",
    TO_COMMENT + "/{reaction_id}",
    "reactions/delete-for-issue-comment",
    permission=WRITE,
    role="read",
)
async def take_from_comment(call: Call) -> Reply:
    """Delete the sender's reaction."""
    return taken(call, find(call).reactions)


def listed(call: Call, reactions: list[Reaction]) -> Reply:
    """A page of reactions, optionally of one content."""
    content = call.query.get("content")
    matching_reactions = [reaction for reaction in reactions if content in (None, reaction.content)]
    return call.paginate(matching_reactions, lambda reaction: issue_serializer.reaction(call.hub, reaction))


def added(call: Call, reactions: list[Reaction]) -> Reply:
    """Add the reaction that the body names."""
    reaction, new = comments.react(call.hub, reactions, call.actor, call.required("content", str))
    return Reply(201 if new else 200, issue_serializer.reaction(call.hub, reaction))


def taken(call: Call, reactions: list[Reaction]) -> Reply:
    """Delete the reaction that the path names; only the sender's own."""
    reaction_id = call.number("reaction_id")
    for reaction in reactions:
        if reaction.id == reaction_id:
            if reaction.user is not call.actor:
                raise ApiError(403, "You can only delete your own reactions")
            reactions.remove(reaction)
            return Reply(204)
    raise not_found()
