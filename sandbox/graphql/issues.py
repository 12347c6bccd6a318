"""Resolve issues, pull requests, their comments, and the people who wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.graphql import commits, timeline
from sandbox.graphql.connections import Connection, connection_of, paginate
from sandbox.graphql.context import Fields, Info, Resolver
from sandbox.services import closing_keywords
from sandbox.state.models import Comment, Issue, Label, PullRequest, Repository

_MERGEABLE = {None: "unknown", True: "mergeable", False: "conflicting"}
_ORDER_KEYS: Mapping[str, Callable[[Issue], Any]] = {
    "created_at": lambda issue: (issue.created_at, issue.number),
    "updated_at": lambda issue: (issue.updated_at, issue.number),
    "comments": lambda issue: (len(issue.comments), issue.number),
}


def _select(
    issues: Sequence[Issue],
    labels: Sequence[str] | None,
    order_by: Mapping[str, str] | None,
    states: Sequence[str] | None,
) -> list[Issue]:
    names = None if labels is None else {name.lower() for name in labels}
    selected = [
        issue
        for issue in issues
        if (states is None or _state(issue) in states)
        and (names is None or names & {name.lower() for name in issue.label_names})
    ]
    order = order_by or {"field": "created_at", "direction": "asc"}
    return sorted(selected, key=_ORDER_KEYS[order["field"]], reverse=order["direction"] == "desc")


def repository_issues(
    repository: Repository,
    _: Info,
    labels: Sequence[str] | None = None,
    order_by: Mapping[str, str] | None = None,
    states: Sequence[str] | None = None,
    **page: Any,
) -> Connection:
    """The issues of a repository."""
    issues = [issue for issue in repository.issues.values() if issue.pull is None]
    return paginate(_select(issues, labels, order_by, states), **page)


def repository_pulls(
    repository: Repository,
    _: Info,
    labels: Sequence[str] | None = None,
    order_by: Mapping[str, str] | None = None,
    states: Sequence[str] | None = None,
    **page: Any,
) -> Connection:
    """The pull requests of a repository."""
    issues = [issue for issue in repository.issues.values() if issue.pull is not None]
    return paginate([issue.pull for issue in _select(issues, labels, order_by, states)], **page)


def _state(issue: Issue) -> str:
    return "merged" if issue.pull is not None and issue.pull.merged else issue.state


def _page(home: str, issue: Issue) -> str:
    return f"{home}/{issue.repository.full_name}/{'issues' if issue.pull is None else 'pull'}/{issue.number}"


def _closing_pulls(issue: Issue, _: Info, include_closed_prs: bool | None = None, **page: Any) -> Connection:
    pulls = [
        pull
        for pull in issue.repository.pulls()
        if issue in closing_keywords.closing_issues(issue.repository, pull.body)
        and (pull.state == "open" or include_closed_prs or pull.merged)
    ]
    return paginate(pulls, **page)


def _common_fields(get_issue: Callable[[Any], Issue]) -> dict[str, Resolver | str]:
    """Resolve what issues and pull requests have in common."""
    return {
        # A bot is assigned on GitHub, but is no User, so it is not among these.
        "assignees": connection_of(lambda value: [user for user in get_issue(value).assignees if user.type == "User"]),
        "author": lambda value, _: get_issue(value).user,
        "body": lambda value, _: get_issue(value).body or "",
        "closed": lambda value, _: get_issue(value).state == "closed",
        "closedAt": lambda value, _: get_issue(value).closed_at,
        "comments": connection_of(lambda value: get_issue(value).comments),
        "createdAt": lambda value, _: get_issue(value).created_at,
        "databaseId": "id",
        "fullDatabaseId": "id",
        "id": "node_id",
        "labels": connection_of(lambda value: get_issue(value).labels),
        "lastEditedAt": lambda value, _: get_issue(value).edited_at,
        "locked": lambda value, _: get_issue(value).locked,
        "state": lambda value, _: _state(get_issue(value)),
        "updatedAt": lambda value, _: get_issue(value).updated_at,
        "url": lambda value, info: _page(info.context.hub.url, get_issue(value)),
    }


_ACTOR: Fields = {
    "databaseId": "id",
    "id": "node_id",
    "login": lambda user, _: user.login.removesuffix("[bot]"),  # GraphQL leaves the suffix off
}
FIELDS: Mapping[str, Fields] = {
    "Bot": _ACTOR,
    "Issue": {
        **_common_fields(lambda issue: issue),
        "blockedBy": connection_of(lambda issue: issue.blocked_by),
        "blocking": connection_of(lambda issue: issue.blocking),
        "closedByPullRequestsReferences": _closing_pulls,
        "subIssues": connection_of(lambda issue: issue.sub_issues),
        "timelineItems": timeline.items,
    },
    "IssueComment": {"author": "user", "databaseId": "id", "fullDatabaseId": "id", "id": "node_id"},
    "Label": {"id": "node_id", "isDefault": "default"},
    "PullRequest": {
        **_common_fields(lambda pull: pull.issue),
        "baseRefName": "base_ref",
        "closingIssuesReferences": connection_of(
            lambda pull: closing_keywords.closing_issues(pull.repository, pull.body)
        ),
        "headRefName": "head_ref",
        "headRefOid": "head_sha",
        "isDraft": "draft",
        "mergeable": lambda pull, _: _MERGEABLE[pull.mergeable],
        **commits.PULL_FIELDS,
    },
    "User": _ACTOR,
}
TYPES: Mapping[type, str] = {Comment: "IssueComment", Issue: "Issue", Label: "Label", PullRequest: "PullRequest"}
