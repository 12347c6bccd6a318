"""Calls issues, their comments, reactions and relations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from adapters.github.base_client import BaseClient, body_params, query_params, repository_parts
from adapters.github.models import Comment, Issue, IssueEvent, Reaction
from adapters.github.operation import operation

State = Literal["open", "closed", "all"]
StateReason = Literal["completed", "not_planned", "duplicate", "reopened"]
ReactionContent = Literal["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"]

_ISSUES: Final = "/repos/{owner}/{repo}/issues"
_ISSUE: Final = _ISSUES + "/{issue_number}"
_COMMENT: Final = _ISSUES + "/comments/{comment_id}"

GET: Final = operation("issues/get", "GET", _ISSUE, permission=("issues", "read"))
LIST: Final = operation(
    "issues/list-for-repo",
    "GET",
    _ISSUES,
    permission=("issues", "read"),
    query="labels state since sort direction per_page",
)
CREATE: Final = operation(
    "issues/create", "POST", _ISSUES, permission=("issues", "write"), body="title body labels", content=True
)
UPDATE: Final = operation(
    "issues/update",
    "PATCH",
    _ISSUE,
    permission=("issues", "write"),
    body="body state state_reason labels",
    content=True,
)
COMMENTS: Final = operation(
    "issues/list-comments", "GET", _ISSUE + "/comments", permission=("issues", "read"), query="since per_page"
)
GET_COMMENT: Final = operation("issues/get-comment", "GET", _COMMENT, permission=("issues", "read"))
CREATE_COMMENT: Final = operation(
    "issues/create-comment", "POST", _ISSUE + "/comments", permission=("issues", "write"), body="body", content=True
)
UPDATE_COMMENT: Final = operation(
    "issues/update-comment", "PATCH", _COMMENT, permission=("issues", "write"), body="body", content=True
)
REACT: Final = operation(
    "reactions/create-for-issue-comment",
    "POST",
    _COMMENT + "/reactions",
    permission=("issues", "write"),
    body="content",
    content=True,
)
REACTIONS: Final = operation(
    "reactions/list-for-issue", "GET", _ISSUE + "/reactions", permission=("issues", "read"), query="per_page"
)
COMMENT_REACTIONS: Final = operation(
    "reactions/list-for-issue-comment",
    "GET",
    _COMMENT + "/reactions",
    permission=("issues", "read"),
    query="per_page",
)
ADD_ASSIGNEES: Final = operation(
    "issues/add-assignees",
    "POST",
    _ISSUE + "/assignees",
    permission=("issues", "write"),
    body="assignees agent_assignment",
)
REMOVE_ASSIGNEES: Final = operation(
    "issues/remove-assignees", "DELETE", _ISSUE + "/assignees", permission=("issues", "write"), body="assignees"
)
EVENTS: Final = operation(
    "issues/list-events", "GET", _ISSUE + "/events", permission=("issues", "read"), query="per_page"
)
BLOCKED_BY: Final = operation(
    "issues/list-dependencies-blocked-by",
    "GET",
    _ISSUE + "/dependencies/blocked_by",
    permission=("issues", "read"),
    query="per_page",
)
ADD_BLOCKED_BY: Final = operation(
    "issues/add-blocked-by-dependency",
    "POST",
    _ISSUE + "/dependencies/blocked_by",
    permission=("issues", "write"),
    body="issue_id",
)
REMOVE_BLOCKED_BY: Final = operation(
    "issues/remove-dependency-blocked-by",
    "DELETE",
    _ISSUE + "/dependencies/blocked_by/{issue_id}",
    permission=("issues", "write"),
)
SUB_ISSUES: Final = operation(
    "issues/list-sub-issues", "GET", _ISSUE + "/sub_issues", permission=("issues", "read"), query="per_page"
)


class IssueOperations(BaseClient):
    """Issues of a repository. `repo` is `owner/name`, `number` what people see; ids are the database's."""

    async def get_issue(self, repo: str, number: int) -> Issue:
        """Return an issue (or the issue side of a pull request)."""
        return await self._request_one(GET, Issue, _issue_params(repo, number))

    async def list_issues(
        self,
        repo: str,
        *,
        labels: Sequence[str] = (),
        state: State = "open",
        since: datetime | None = None,
    ) -> list[Issue]:
        """List issues that carry all of `labels`, pull requests included, the latest changed first.

        `since` keeps those changed at or after it. A label with a comma cannot be asked for (ValueError).
        """
        if any("," in label for label in labels):
            raise ValueError("GitHub cannot filter by a label with a comma in its name")
        query = query_params(
            labels=",".join(labels) or None, state=state, since=since, sort="updated", direction="desc"
        )
        return await self._request_all(LIST, Issue, {**repository_parts(repo)}, query)

    async def create_issue(self, repo: str, *, title: str, body: str, labels: Sequence[str] = ()) -> Issue:
        """Open an issue. Labels that do not exist are made by GitHub, in grey."""
        content = body_params(title=title, body=body, labels=list(labels) or None)
        return await self._request_one(CREATE, Issue, repository_parts(repo), body=content)

    async def update_issue(
        self,
        repo: str,
        number: int,
        *,
        body: str | None = None,
        state: Literal["open", "closed"] | None = None,
        state_reason: StateReason | None = None,
        labels: Sequence[str] | None = None,
    ) -> Issue:
        """Change what is given, leave the rest; `labels` replace the whole list."""
        content = body_params(
            body=body,
            state=state,
            state_reason=state_reason,
            labels=None if labels is None else list(labels),
        )
        return await self._request_one(UPDATE, Issue, _issue_params(repo, number), body=content)

    async def list_comments(self, repo: str, number: int, *, since: datetime | None = None) -> list[Comment]:
        """List the comments, oldest first; `since` keeps those changed at or after it."""
        return await self._request_all(COMMENTS, Comment, _issue_params(repo, number), query_params(since=since))

    async def get_comment(self, repo: str, comment_id: int) -> Comment:
        """Return one comment."""
        return await self._request_one(GET_COMMENT, Comment, _comment_params(repo, comment_id))

    async def create_comment(self, repo: str, number: int, body: str) -> Comment:
        """Comment on an issue or pull request; GitHub takes at most 65,536 characters (Invalid above)."""
        return await self._request_one(CREATE_COMMENT, Comment, _issue_params(repo, number), body={"body": body})

    async def update_comment(self, repo: str, comment_id: int, body: str) -> Comment:
        """Replace the text of a comment."""
        return await self._request_one(UPDATE_COMMENT, Comment, _comment_params(repo, comment_id), body={"body": body})

    async def react_to_comment(self, repo: str, comment_id: int, content: ReactionContent) -> Reaction:
        """React to a comment; doing it twice changes nothing."""
        return await self._request_one(REACT, Reaction, _comment_params(repo, comment_id), body={"content": content})

    async def list_issue_reactions(self, repo: str, number: int) -> list[Reaction]:
        """List the reactions to an issue or pull request."""
        return await self._request_all(REACTIONS, Reaction, _issue_params(repo, number))

    async def list_comment_reactions(self, repo: str, comment_id: int) -> list[Reaction]:
        """List the reactions to a comment."""
        return await self._request_all(COMMENT_REACTIONS, Reaction, _comment_params(repo, comment_id))

    async def add_assignees(
        self, repo: str, number: int, logins: Sequence[str], *, agent: Mapping[str, str] | None = None
    ) -> Issue:
        """Assign people, or a coding agent with its `agent_assignment`; GitHub silently skips accounts that cannot be
        assigned.
        """
        body = body_params(assignees=list(logins), agent_assignment=dict(agent) if agent else None)
        return await self._request_one(ADD_ASSIGNEES, Issue, _issue_params(repo, number), body=body)

    async def remove_assignees(self, repo: str, number: int, logins: Sequence[str]) -> Issue:
        """Take assigned people or agents off."""
        return await self._request_one(
            REMOVE_ASSIGNEES, Issue, _issue_params(repo, number), body={"assignees": list(logins)}
        )

    async def list_issue_events(self, repo: str, number: int) -> list[IssueEvent]:
        """List what happened to an issue or pull request, oldest first; comments are not among it."""
        return await self._request_all(EVENTS, IssueEvent, _issue_params(repo, number))

    async def list_blocked_by(self, repo: str, number: int) -> list[Issue]:
        """List the issues that block this one (GitHub's dependencies), also in other repositories."""
        return await self._request_all(BLOCKED_BY, Issue, _issue_params(repo, number))

    async def add_blocked_by(self, repo: str, number: int, issue_id: int) -> Issue:
        """Let the issue wait for the one with this database id; Invalid if it does already."""
        return await self._request_one(ADD_BLOCKED_BY, Issue, _issue_params(repo, number), body={"issue_id": issue_id})

    async def remove_blocked_by(self, repo: str, number: int, issue_id: int) -> Issue:
        """Let the issue no longer wait for the one with this database id; NotFound if it does not."""
        return await self._request_one(REMOVE_BLOCKED_BY, Issue, {**_issue_params(repo, number), "issue_id": issue_id})

    async def list_sub_issues(self, repo: str, number: int) -> list[Issue]:
        """List the sub-issues, in their order."""
        return await self._request_all(SUB_ISSUES, Issue, _issue_params(repo, number))


def _issue_params(repo: str, number: int) -> dict[str, str | int]:
    return {**repository_parts(repo), "issue_number": number}


def _comment_params(repo: str, comment_id: int) -> dict[str, str | int]:
    return {**repository_parts(repo), "comment_id": comment_id}
