"""Comments and reactions. A comment sends `issue_comment`; a reaction sends nothing, as on GitHub."""

from __future__ import annotations

from sandbox.errors import ApiError, invalid
from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import App, Comment, Issue, Reaction, Repository, User, role_at_least

MAX_COMMENT = 65_536  # characters
MAX_COMMENTS = 2_500  # on one issue


def check_body(body: str) -> None:
    """Raise ApiError 422 for an empty or too long comment."""
    if not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    if len(body) > MAX_COMMENT:
        raise ApiError(
            422,
            "Validation Failed",
            errors=[
                {
                    "resource": "IssueComment",
                    "code": "unprocessable",
                    "field": "data",
                    "message": "Body is too long (maximum is 65536 characters)",
                }
            ],
        )


def create(hub: Hub, issue: Issue, actor: User, body: str, *, via_app: App | None = None) -> Comment:
    """Comment on an issue or pull request. Raises ApiError 422 for a bad body, 403 when the conversation is
    locked.
    """
    check_body(body)
    is_app = via_app is not None
    if issue.locked and not is_app and not role_at_least(issue.repository.role_of(actor), "write"):
        raise ApiError(403, "Unable to create comment because issue is locked.")
    if len(issue.comments) >= MAX_COMMENTS:
        raise ApiError(403, "Commenting is disabled on issues with more than 2500 comments")
    now = hub.now()
    comment = Comment(
        id=hub.new_id(),
        issue=issue,
        user=actor,
        body=body,
        created_at=now,
        updated_at=now,
        via_app=via_app,
    )
    issue.comments.append(comment)
    issue.updated_at = now
    _emit(hub, comment, "created", actor)
    for agent in hub.cloud_agents.values():
        if agent.is_called_by(comment):
            agent.start_on_comment(hub, comment)
    return comment


def edit(hub: Hub, comment: Comment, actor: User, body: str) -> None:
    """Edit a comment; sends `edited` with the previous body, nothing when it is the same."""
    check_body(body)
    if body == comment.body:
        return
    old_body, comment.body, comment.updated_at = comment.body, body, hub.now()
    comment.issue.updated_at, comment.editor = comment.updated_at, actor
    _emit(hub, comment, "edited", actor, changes={"body": {"from": old_body}})


def delete(hub: Hub, comment: Comment, actor: User) -> None:
    """Delete a comment; sends `deleted`."""
    comment.issue.comments.remove(comment)
    comment.issue.updated_at = hub.now()
    _emit(hub, comment, "deleted", actor)


def find(repository: Repository, comment_id: int) -> Comment | None:
    """The comment with that id, or None."""
    return next((comment for comment in repository.comments() if comment.id == comment_id), None)


def can_edit(comment: Comment, actor: User) -> bool:
    """Whether a person may edit or delete it: their own, or any with write access."""
    return comment.user is actor or role_at_least(comment.issue.repository.role_of(actor), "write")


def react(hub: Hub, reactions: list[Reaction], actor: User, content: str) -> tuple[Reaction, bool]:
    """Add a reaction, once for each person and content, and return it and whether it is new."""
    if content not in issue_serializer.REACTIONS:
        raise invalid("Reaction", "content")
    for reaction in reactions:
        if reaction.user is actor and reaction.content == content:
            return reaction, False
    reaction = Reaction(id=hub.new_id(), user=actor, content=content, created_at=hub.now())
    reactions.append(reaction)
    return reaction, True


def _emit(hub: Hub, comment: Comment, action: str, actor: User, **fields: object) -> None:
    hub.emit(
        comment.issue.repository,
        "issue_comment",
        action,
        sender=actor,
        issue=issue_serializer.issue(hub, comment.issue, webhook=True),
        comment=issue_serializer.comment(hub, comment),
        **fields,
    )
