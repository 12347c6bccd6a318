"""Reactions to issues and to comments."""

from __future__ import annotations

from sandbox.errors import ApiError, not_found
from sandbox.http.rest.comments import find_comment
from sandbox.http.rest.issues import READ, WRITE
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import comments
from sandbox.state.models import Reaction

ISSUE_REACTIONS = "/repos/{owner}/{repo}/issues/{issue_number}/reactions"
COMMENT_REACTIONS = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"


@route("GET", ISSUE_REACTIONS, "reactions/list-for-issue", permission=READ)
async def list_issue_reactions(call: Call) -> Reply:
    """The reactions to an issue."""
    return reaction_page(call, call.issue().reactions)


@route("POST", ISSUE_REACTIONS, "reactions/create-for-issue", permission=WRITE, role="read", content=True)
async def create_issue_reaction(call: Call) -> Reply:
    """React to an issue: 201, or 200 when the reaction existed."""
    return add_reaction(call, call.issue().reactions)


@route("DELETE", ISSUE_REACTIONS + "/{reaction_id}", "reactions/delete-for-issue", permission=WRITE, role="read")
async def delete_issue_reaction(call: Call) -> Reply:
    """Delete the sender's reaction."""
    return remove_reaction(call, call.issue().reactions)


@route("GET", COMMENT_REACTIONS, "reactions/list-for-issue-comment", permission=READ)
async def list_comment_reactions(call: Call) -> Reply:
    """The reactions to a comment."""
    return reaction_page(call, find_comment(call).reactions)


@route("POST", COMMENT_REACTIONS, "reactions/create-for-issue-comment", permission=WRITE, role="read", content=True)
async def create_comment_reaction(call: Call) -> Reply:
    """React to a comment: 201, or 200 when the reaction existed."""
    return add_reaction(call, find_comment(call).reactions)


@route(
    "DELETE",
    COMMENT_REACTIONS + "/{reaction_id}",
    "reactions/delete-for-issue-comment",
    permission=WRITE,
    role="read",
)
async def delete_comment_reaction(call: Call) -> Reply:
    """Delete the sender's reaction."""
    return remove_reaction(call, find_comment(call).reactions)


def reaction_page(call: Call, reactions: list[Reaction]) -> Reply:
    """A page of reactions, optionally of one content."""
    content = call.query.get("content")
    matching_reactions = [reaction for reaction in reactions if content in (None, reaction.content)]
    return call.paginate(matching_reactions, lambda reaction: issue_serializer.reaction(call.hub, reaction))


def add_reaction(call: Call, reactions: list[Reaction]) -> Reply:
    """Add the reaction that the body names."""
    reaction, is_new = comments.react(call.hub, reactions, call.actor, call.required("content", str))
    return Reply(201 if is_new else 200, issue_serializer.reaction(call.hub, reaction))


def remove_reaction(call: Call, reactions: list[Reaction]) -> Reply:
    """Delete the reaction that the path names; only the sender's own."""
    reaction_id = call.number("reaction_id")
    for reaction in reactions:
        if reaction.id == reaction_id:
            if reaction.user is not call.actor:
                raise ApiError(403, "You can only delete your own reactions")
            reactions.remove(reaction)
            return Reply(204)
    raise not_found()
