"""What the sandbox's GraphQL knows: types, their fields, and how each is found."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox import closing, issues, pulls, render
from sandbox.clock import stamp, stamp_or_none
from sandbox.graphql_parser import GraphQLError
from sandbox.world import Comment, Issue, Label, PullRequest, Repository, User, role_at_least

if TYPE_CHECKING:
    from sandbox.graphql import Run

Arguments = Mapping[str, Any]
Resolver = Callable[["Run", Any, Arguments], Any]


@dataclass(frozen=True, slots=True)
class Connection:
    """A list that is asked for page by page."""

    name: str
    items: Sequence[Any]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Plain:
    """An object that is only values."""

    kind: str
    values: Mapping[str, Any]


def _connected(name: str, items: Sequence[Any], arguments: Arguments) -> Connection:
    first, last = arguments.get("first"), arguments.get("last")
    size = first if first is not None else last
    if not isinstance(size, int) or (first is not None and last is not None):
        raise GraphQLError(f"You must provide a `first` or `last` value to properly paginate the `{name}`.")
    if not 1 <= size <= 100:
        raise GraphQLError(f"Requesting {size} records on the `{name}` exceeds the `first` limit of 100 records.")
    if first is None:
        return Connection(name, items, max(0, len(items) - size), len(items))
    start = _place(arguments["after"]) + 1 if arguments.get("after") else 0
    return Connection(name, items, start, start + size)


def _cursor(place: int) -> str:
    return base64.b64encode(f"cursor:{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("cursor:"))
    except ValueError as error:
        raise GraphQLError(f"`{cursor}` does not appear to be a valid cursor.") from error


def _page_info(_: Run, value: Connection, __: Arguments) -> Plain:
    more, size = value.stop < len(value.items), min(value.stop, len(value.items))
    values = {
        "hasNextPage": more,
        "hasPreviousPage": value.start > 0,
        "startCursor": _cursor(value.start) if size > value.start else None,
        "endCursor": _cursor(size - 1) if size > value.start else None,
    }
    return Plain("PageInfo", values)


def _repository(run: Run, _: Any, arguments: Arguments) -> Repository:
    name = f"{arguments.get('owner')}/{arguments.get('name')}"
    found = run.hub.find_repository(name)
    if found is None or not run.credential.sees(found):
        raise LookupError(f"Could not resolve to a Repository with the name '{name}'.")
    return found


def _node(run: Run, _: Any, arguments: Arguments) -> Any:
    wanted = arguments.get("id")
    for repository in run.hub.repositories.values():
        if run.credential.sees(repository):
            if repository.node_id == wanted:
                return repository
            for issue in repository.issues.values():
                if wanted in (issue.node_id, issue.pull and issue.pull.node_id):
                    return issue if issue.pull is None else issue.pull
    raise LookupError(f"Could not resolve to a node with the global id of '{wanted}'.")


def _issue(_: Run, value: Repository, arguments: Arguments) -> Issue:
    found = value.issues.get(arguments.get("number", 0))
    if found is None or found.pull is not None:
        raise LookupError(f"Could not resolve to an Issue with the number of {arguments.get('number')}.")
    return found


def _pull(_: Run, value: Repository, arguments: Arguments) -> PullRequest:
    found = value.issues.get(arguments.get("number", 0))
    if found is None or found.pull is None:
        raise LookupError(f"Could not resolve to a PullRequest with the number of {arguments.get('number')}.")
    return found.pull


def _filtered(issues: Sequence[Issue], arguments: Arguments) -> list[Issue]:
    states, names = arguments.get("states"), arguments.get("labels")
    states = [states] if isinstance(states, str) else states
    found = [
        one
        for one in issues
        if (states is None or _state(one) in states)
        and (names is None or {name.lower() for name in names} & {name.lower() for name in one.label_names})
    ]
    order = arguments.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
    keys: dict[str, Callable[[Issue], Any]] = {
        "CREATED_AT": lambda one: (one.created_at, one.number),
        "UPDATED_AT": lambda one: (one.updated_at, one.number),
        "COMMENTS": lambda one: (len(one.comments), one.number),
    }
    if order.get("field") not in keys:
        raise GraphQLError(f"orderBy.field is one of {', '.join(keys)}")
    return sorted(found, key=keys[order["field"]], reverse=order.get("direction") == "DESC")


def _issues(_: Run, value: Repository, arguments: Arguments) -> Connection:
    found = [one for one in value.issues.values() if one.pull is None]
    return _connected("issues", _filtered(found, arguments), arguments)


def _pulls(_: Run, value: Repository, arguments: Arguments) -> Connection:
    found = _filtered([one for one in value.issues.values() if one.pull is not None], arguments)
    return _connected("pullRequests", [one.pull for one in found], arguments)


def _closers(_: Run, value: Issue, arguments: Arguments) -> Connection:
    found = [
        pull
        for pull in value.repository.pulls()
        if value in closing.closed_by_text(value.repository, pull.body)
        and (pull.state == "open" or arguments.get("includeClosedPrs") or pull.merged)
    ]
    return _connected("closedByPullRequestsReferences", found, arguments)


def _closes(_: Run, value: PullRequest, arguments: Arguments) -> Connection:
    found = closing.closed_by_text(value.repository, value.body)
    return _connected("closingIssuesReferences", found, arguments)


_MERGEABLE = {None: "UNKNOWN", True: "MERGEABLE", False: "CONFLICTING"}


def _state(issue: Issue) -> str:
    return "MERGED" if issue.pull is not None and issue.pull.merged else issue.state.upper()


def _attribute(name: str) -> Resolver:
    return lambda _, value, __: getattr(value, name)


def _listed(name: str, get: Callable[[Any], Sequence[Any]]) -> Resolver:
    return lambda _, value, arguments: _connected(name, get(value), arguments)


def _page(run: Run, issue: Issue) -> str:
    return str(render.issue(run.hub, issue)["html_url"])


def _shared(get: Callable[[Any], Issue]) -> dict[str, Resolver]:
    """What issues and pull requests have in common."""
    return {
        "number": lambda _, value, __: get(value).number,
        "title": lambda _, value, __: get(value).title,
        "body": lambda _, value, __: get(value).body or "",
        "state": lambda _, value, __: _state(get(value)),
        "closed": lambda _, value, __: get(value).state == "closed",
        "locked": lambda _, value, __: get(value).locked,
        "author": lambda _, value, __: get(value).user,
        "url": lambda run, value, __: _page(run, get(value)),
        "createdAt": lambda _, value, __: stamp(get(value).created_at),
        "updatedAt": lambda _, value, __: stamp(get(value).updated_at),
        "closedAt": lambda _, value, __: stamp_or_none(get(value).closed_at),
        "labels": _listed("labels", lambda value: get(value).labels),
        "assignees": _listed("assignees", lambda value: get(value).assignees),
        "comments": _listed("comments", lambda value: get(value).comments),
        "repository": lambda _, value, __: get(value).repository,
        "id": _attribute("node_id"),
        "databaseId": _attribute("id"),
    }


def _rate_limit(run: Run, _: Any, __: Arguments) -> Plain:
    bucket = run.hub.meter.bucket(run.credential.bucket, "graphql", run.hub.now())
    values = {
        "limit": bucket.limit,
        "cost": 1,
        "remaining": bucket.remaining,
        "used": bucket.used,
        "resetAt": stamp(datetime.fromtimestamp(bucket.reset, UTC)),
    }
    return Plain("RateLimit", values)


def _viewer(run: Run, _: Any, __: Arguments) -> User:
    if run.credential.user is None:
        raise GraphQLError("This endpoint requires you to be authenticated.")
    return run.credential.user


def _viewer_permission(run: Run, value: Repository, _: Arguments) -> str | None:
    role = value.role_of(_viewer(run, None, {}))
    return None if role == "none" else role.upper()


def _suggested_actors(run: Run, value: Repository, arguments: Arguments) -> Connection:
    """Whom the viewer can assign; agents come first, and only for people: an App does not even see them."""
    if arguments.get("capabilities") != ["CAN_BE_ASSIGNED"]:
        raise GraphQLError("The sandbox knows the capability CAN_BE_ASSIGNED only")
    viewer = _viewer(run, None, {})
    agents = [agent.account for agent in run.hub.cloud.values() if agent.mention is None]
    people = [one for one in run.hub.users.values() if one not in agents and issues.assignable(value, one)]
    return _connected("suggestedActors", [*(agents if viewer.type == "User" else []), *people], arguments)


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer to markPullRequestReadyForReview."""

    pull: PullRequest


def _mark_ready(run: Run, _: Any, arguments: Arguments) -> Ready:
    pull = _node(run, None, {"id": (arguments.get("input") or {}).get("pullRequestId")})
    if not isinstance(pull, PullRequest):
        raise LookupError("Could not resolve to a PullRequest.")
    credential = run.credential
    person = credential.kind == "user" and role_at_least(pull.repository.role_of(_viewer(run, None, {})), "write")
    if not (person or (credential.reaches(pull.repository) and credential.holds("pull_requests:write"))):
        raise GraphQLError("Resource not accessible by integration", kind="FORBIDDEN")
    pulls.set_draft(run.hub, pull, _viewer(run, None, {}), draft=False)
    return Ready(pull)


_PERSON: dict[str, Resolver] = {
    "id": _attribute("node_id"),
    "databaseId": _attribute("id"),
    "login": lambda _, value, __: value.login.removesuffix("[bot]"),  # GraphQL leaves the ending off
}
KINDS: dict[type, str] = {
    Repository: "Repository",
    Issue: "Issue",
    PullRequest: "PullRequest",
    Label: "Label",
    Comment: "IssueComment",
    Ready: "MarkPullRequestReadyForReviewPayload",
}


def kind_of(value: Any) -> str | None:
    """The type of an object, or None for a plain value."""
    if isinstance(value, User):
        return value.type
    return "Connection" if isinstance(value, Connection) else KINDS.get(type(value))


TYPES: dict[str, dict[str, Resolver]] = {
    "Query": {
        "viewer": _viewer,
        "rateLimit": _rate_limit,
        "repository": _repository,
        "node": _node,
    },
    "Mutation": {"markPullRequestReadyForReview": _mark_ready},
    "MarkPullRequestReadyForReviewPayload": {"pullRequest": lambda _, value, __: value.pull},
    "Repository": {
        "viewerPermission": _viewer_permission,
        "suggestedActors": _suggested_actors,
        "id": _attribute("node_id"),
        "databaseId": _attribute("id"),
        "name": _attribute("name"),
        "nameWithOwner": _attribute("full_name"),
        "isPrivate": _attribute("private"),
        "isArchived": _attribute("archived"),
        "url": lambda run, value, _: f"{run.hub.url}/{value.full_name}",
        "issue": _issue,
        "issues": _issues,
        "pullRequest": _pull,
        "pullRequests": _pulls,
        "labels": _listed("labels", lambda value: list(value.labels.values())),
    },
    "Issue": _shared(lambda value: value)
    | {
        "stateReason": lambda _, value, __: value.state_reason and value.state_reason.upper(),
        "parent": _attribute("parent"),
        "subIssues": _listed("subIssues", lambda value: value.sub_issues),
        "blockedBy": _listed("blockedBy", lambda value: value.blocked_by),
        "blocking": _listed("blocking", lambda value: value.blocking),
        "closedByPullRequestsReferences": _closers,
    },
    "PullRequest": _shared(lambda value: value.issue)
    | {
        "merged": _attribute("merged"),
        "mergedAt": lambda _, value, __: stamp_or_none(value.merged_at),
        "isDraft": _attribute("draft"),
        "headRefName": _attribute("head_ref"),
        "headRefOid": _attribute("head_sha"),
        "baseRefName": _attribute("base_ref"),
        "mergeable": lambda _, value, __: _MERGEABLE[value.mergeable],
        "closingIssuesReferences": _closes,
    },
    "Label": {
        "id": _attribute("node_id"),
        "name": _attribute("name"),
        "color": _attribute("color"),
        "description": _attribute("description"),
        "isDefault": _attribute("default"),
    },
    "IssueComment": {
        "id": _attribute("node_id"),
        "databaseId": _attribute("id"),
        "body": _attribute("body"),
        "author": _attribute("user"),
        "createdAt": lambda _, value, __: stamp(value.created_at),
        "updatedAt": lambda _, value, __: stamp(value.updated_at),
    },
    "User": _PERSON,
    "Bot": _PERSON,
    "Connection": {
        "totalCount": lambda _, value, __: len(value.items),
        "nodes": lambda _, value, __: list(value.items[value.start : value.stop]),
        "pageInfo": _page_info,
    },
}
