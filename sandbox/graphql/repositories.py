"""Resolve the fields of queries and of a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.graphql import commits, issues
from sandbox.graphql.connections import Connection, connection_of, paginate
from sandbox.graphql.context import FieldError, Fields, Info, node_not_found
from sandbox.services.issues import is_assignable
from sandbox.state.models import Issue, PullRequest, Repository


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What the sender may still ask in this hour."""

    cost: int
    limit: int
    node_count: int
    remaining: int
    reset_at: datetime
    used: int


def _rate_limit(_: Any, info: Info) -> RateLimit:
    execution = info.context
    bucket = execution.hub.usage_counter.bucket(execution.credential.rate_limit_key, "graphql", execution.hub.now())
    return RateLimit(
        cost=execution.points,
        limit=bucket.limit,
        node_count=execution.nodes,
        remaining=bucket.remaining,
        reset_at=datetime.fromtimestamp(bucket.reset, UTC),
        used=bucket.used,
    )


def _repository(_: Any, info: Info, owner: str, name: str) -> Repository:
    repository = info.context.hub.find_repository(f"{owner}/{name}")
    if repository is None or not info.context.credential.can_see(repository):
        raise FieldError("NOT_FOUND", f"Could not resolve to a Repository with the name '{owner}/{name}'.")
    return repository


def node(_: Any, info: Info, id: str) -> Repository | Issue | PullRequest:  # noqa: A002 - GitHub's own name
    """The repository, issue or pull request with this global id. Raises FieldError if there is none."""
    for repository in info.context.repositories:
        if repository.node_id == id:
            return repository
        for issue in repository.issues.values():
            if id in (issue.node_id, issue.pull and issue.pull.node_id):
                return issue.pull or issue
    raise node_not_found(id)


def _issue(repository: Repository, _: Info, number: int) -> Issue:
    issue = repository.issues.get(number)
    if issue is None or issue.pull is not None:
        raise FieldError("NOT_FOUND", f"Could not resolve to an Issue with the number of {number}.")
    return issue


def _pull(repository: Repository, _: Info, number: int) -> PullRequest:
    issue = repository.issues.get(number)
    if issue is None or issue.pull is None:
        raise FieldError("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {number}.")
    return issue.pull


def _issue_or_pull(repository: Repository, _: Info, number: int) -> Issue | PullRequest:
    issue = repository.issues.get(number)
    if issue is None:
        message = f"Could not resolve to an issue or pull request with the number of {number}."
        raise FieldError("NOT_FOUND", message)
    return issue.pull or issue


def _viewer_permission(repository: Repository, info: Info) -> str | None:
    role = repository.role_of(info.context.viewer)
    return None if role == "none" else role


def _suggested_actors(repository: Repository, info: Info, capabilities: Sequence[str], **page: Any) -> Connection:
    """Whom the viewer can assign; agents come first, and an App does not see them."""
    execution = info.context
    agents = [agent.account for agent in execution.hub.cloud_agents.values() if agent.mention is None]
    users = execution.hub.users.values()
    people = [user for user in users if user not in agents and is_assignable(execution.hub, repository, user)]
    return paginate([*(agents if execution.viewer.type == "User" else []), *people], **page)


FIELDS: Mapping[str, Fields] = {
    "Query": {
        "node": node,
        "rateLimit": _rate_limit,
        "repository": _repository,
        "viewer": lambda _, info: info.context.viewer,
    },
    "RateLimit": {},
    "Repository": {
        "databaseId": "id",
        "defaultBranchRef": commits.default_branch,
        "id": "node_id",
        "isArchived": "archived",
        "isPrivate": "private",
        "issue": _issue,
        "issueOrPullRequest": _issue_or_pull,
        "issues": issues.repository_issues,
        "label": lambda repository, _, name: repository.label(name),
        "labels": connection_of(lambda repository: list(repository.labels.values())),
        "nameWithOwner": "full_name",
        "pullRequest": _pull,
        "pullRequests": issues.repository_pulls,
        "refs": commits.refs,
        "suggestedActors": _suggested_actors,
        "url": lambda repository, info: f"{info.context.hub.url}/{repository.full_name}",
        "viewerPermission": _viewer_permission,
    },
}
TYPES: Mapping[type, str] = {Repository: "Repository"}
