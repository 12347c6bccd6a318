"""What the sandbox's GraphQL knows: types, their fields, and how each is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.graphql import code, mutations, timeline
from sandbox.graphql.parser import GraphQLError
from sandbox.graphql.parts import Arguments, Connection, Plain, Resolver, attribute, connected, listed, page_info
from sandbox.serializers import issues as issue_serializer
from sandbox.services import closing_keywords, issues, pulls
from sandbox.state.models import Comment, Issue, IssueEvent, Label, PullRequest, Repository, User, role_at_least

if TYPE_CHECKING:
    from sandbox.graphql.execution import Execution


def _repository(run: Execution, _: Any, arguments: Arguments) -> Repository:
    name = f"{arguments.get('owner')}/{arguments.get('name')}"
    found = run.hub.find_repository(name)
    if found is None or not run.credential.can_see(found):
        raise LookupError(f"Could not resolve to a Repository with the name '{name}'.")
    return found


def _node(run: Execution, _: Any, arguments: Arguments) -> Any:
    wanted = arguments.get("id")
    for repository in run.hub.repositories.values():
        if run.credential.can_see(repository):
            if repository.node_id == wanted:
                return repository
            for issue in repository.issues.values():
                if wanted in (issue.node_id, issue.pull and issue.pull.node_id):
                    return issue if issue.pull is None else issue.pull
    raise LookupError(f"Could not resolve to a node with the global id of '{wanted}'.")


def _issue(_: Execution, value: Repository, arguments: Arguments) -> Issue:
    found = value.issues.get(arguments.get("number", 0))
    if found is None or found.pull is not None:
        raise LookupError(f"Could not resolve to an Issue with the number of {arguments.get('number')}.")
    return found


def _pull(_: Execution, value: Repository, arguments: Arguments) -> PullRequest:
    found = value.issues.get(arguments.get("number", 0))
    if found is None or found.pull is None:
        raise LookupError(f"Could not resolve to a PullRequest with the number of {arguments.get('number')}.")
    return found.pull


def _either(_: Execution, value: Repository, arguments: Arguments) -> Issue | PullRequest:
    found = value.issues.get(arguments.get("number", 0))
    if found is None:
        number = arguments.get("number")
        raise LookupError(f"Could not resolve to an issue or pull request with the number of {number}.")
    return found if found.pull is None else found.pull


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


def _issues(_: Execution, value: Repository, arguments: Arguments) -> Connection:
    found = [one for one in value.issues.values() if one.pull is None]
    return connected("issues", _filtered(found, arguments), arguments)


def _pulls(_: Execution, value: Repository, arguments: Arguments) -> Connection:
    found = _filtered([one for one in value.issues.values() if one.pull is not None], arguments)
    return connected("pullRequests", [one.pull for one in found], arguments)


def _closers(_: Execution, value: Issue, arguments: Arguments) -> Connection:
    found = [
        pull
        for pull in value.repository.pulls()
        if value in closing_keywords.closing_issues(value.repository, pull.body)
        and (pull.state == "open" or arguments.get("includeClosedPrs") or pull.merged)
    ]
    return connected("closedByPullRequestsReferences", found, arguments)


def _closes(_: Execution, value: PullRequest, arguments: Arguments) -> Connection:
    found = closing_keywords.closing_issues(value.repository, value.body)
    return connected("closingIssuesReferences", found, arguments)


_MERGEABLE = {None: "UNKNOWN", True: "MERGEABLE", False: "CONFLICTING"}


def _state(issue: Issue) -> str:
    return "MERGED" if issue.pull is not None and issue.pull.merged else issue.state.upper()


def _page(run: Execution, issue: Issue) -> str:
    return str(issue_serializer.issue(run.hub, issue)["html_url"])


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
        "createdAt": lambda _, value, __: timestamp(get(value).created_at),
        "updatedAt": lambda _, value, __: timestamp(get(value).updated_at),
        "closedAt": lambda _, value, __: timestamp_or_none(get(value).closed_at),
        "labels": listed("labels", lambda value: get(value).labels),
        "assignees": listed("assignees", lambda value: get(value).assignees),
        "comments": listed("comments", lambda value: get(value).comments),
        "repository": lambda _, value, __: get(value).repository,
        "id": attribute("node_id"),
        "databaseId": attribute("id"),
        "fullDatabaseId": lambda _, value, __: str(value.id),  # a BigInt, which GitHub writes as text
        "lastEditedAt": lambda _, value, __: timestamp_or_none(get(value).edited_at),
    }


def _rate_limit(run: Execution, _: Any, __: Arguments) -> Plain:
    bucket = run.hub.usage_counter.bucket(run.credential.rate_limit_key, "graphql", run.hub.now())
    values = {
        "limit": bucket.limit,
        "cost": run.cost,
        "remaining": bucket.remaining,
        "used": bucket.used,
        "resetAt": timestamp(datetime.fromtimestamp(bucket.reset, UTC)),
    }
    return Plain("RateLimit", values)


def _viewer(run: Execution, _: Any, __: Arguments) -> User:
    if run.credential.user is None:
        raise GraphQLError("This endpoint requires you to be authenticated.")
    return run.credential.user


def _viewer_permission(run: Execution, value: Repository, _: Arguments) -> str | None:
    role = value.role_of(_viewer(run, None, {}))
    return None if role == "none" else role.upper()


def _suggested_actors(run: Execution, value: Repository, arguments: Arguments) -> Connection:
    """Whom the viewer can assign; agents come first, and only for people: an App does not even see them."""
    if arguments.get("capabilities") != ["CAN_BE_ASSIGNED"]:
        raise GraphQLError("The sandbox knows the capability CAN_BE_ASSIGNED only")
    viewer = _viewer(run, None, {})
    agents = [agent.account for agent in run.hub.cloud_agents.values() if agent.mention is None]
    people = [one for one in run.hub.users.values() if one not in agents and issues.is_assignable(run.hub, value, one)]
    return connected("suggestedActors", [*(agents if viewer.type == "User" else []), *people], arguments)


@dataclass(frozen=True, slots=True)
class MergeablePull:
    """The answer to markPullRequestReadyForReview."""

    pull: PullRequest


def _mark_ready(run: Execution, _: Any, arguments: Arguments) -> MergeablePull:
    pull = _node(run, None, {"id": (arguments.get("input") or {}).get("pullRequestId")})
    if not isinstance(pull, PullRequest):
        raise LookupError("Could not resolve to a PullRequest.")
    credential = run.credential
    person = credential.kind == "user" and role_at_least(pull.repository.role_of(_viewer(run, None, {})), "write")
    if not (person or (credential.has_access(pull.repository) and credential.has_permission("pull_requests:write"))):
        raise GraphQLError("Resource not accessible by integration", kind="FORBIDDEN")
    pulls.set_draft(run.hub, pull, _viewer(run, None, {}), draft=False)
    return MergeablePull(pull)


_PERSON: dict[str, Resolver] = {
    "id": attribute("node_id"),
    "databaseId": attribute("id"),
    "login": lambda _, value, __: value.login.removesuffix("[bot]"),  # GraphQL leaves the ending off
}
KINDS: dict[type, str] = (
    {
        Repository: "Repository",
        Issue: "Issue",
        PullRequest: "PullRequest",
        Label: "Label",
        Comment: "IssueComment",
        MergeablePull: "MarkPullRequestReadyForReviewPayload",
    }
    | code.KINDS
    | mutations.KINDS
)


def kind_of(value: Any) -> str | None:
    """The type of an object, or None for a plain value."""
    if isinstance(value, User):
        return value.type
    if isinstance(value, IssueEvent):
        return timeline.kind_of(value)
    if isinstance(value, mutations.MutationResult):
        return value.kind
    return "Connection" if isinstance(value, Connection) else KINDS.get(type(value))


TYPES: dict[str, dict[str, Resolver]] = {
    "Query": {
        "viewer": _viewer,
        "rateLimit": _rate_limit,
        "repository": _repository,
        "node": _node,
    },
    "Mutation": {"markPullRequestReadyForReview": _mark_ready} | mutations.MUTATIONS,
    "MarkPullRequestReadyForReviewPayload": {"pullRequest": lambda _, value, __: value.pull},
    "Repository": {
        "viewerPermission": _viewer_permission,
        "suggestedActors": _suggested_actors,
        "id": attribute("node_id"),
        "databaseId": attribute("id"),
        "name": attribute("name"),
        "nameWithOwner": attribute("full_name"),
        "isPrivate": attribute("private"),
        "isArchived": attribute("archived"),
        "url": lambda run, value, _: f"{run.hub.url}/{value.full_name}",
        "issue": _issue,
        "issues": _issues,
        "pullRequest": _pull,
        "pullRequests": _pulls,
        "issueOrPullRequest": _either,
        "defaultBranchRef": code.default_branch,
        "refs": code.refs,
        "labels": listed("labels", lambda value: list(value.labels.values())),
        "label": lambda _, value, arguments: value.label(arguments.get("name", "")),
    },
    "Issue": _shared(lambda value: value)
    | {
        "stateReason": lambda _, value, __: value.state_reason and value.state_reason.upper(),
        "parent": attribute("parent"),
        "subIssues": listed("subIssues", lambda value: value.sub_issues),
        "blockedBy": listed("blockedBy", lambda value: value.blocked_by),
        "blocking": listed("blocking", lambda value: value.blocking),
        "closedByPullRequestsReferences": _closers,
        "timelineItems": timeline.items,
    },
    "PullRequest": _shared(lambda value: value.issue)
    | {
        "merged": attribute("merged"),
        "mergedAt": lambda _, value, __: timestamp_or_none(value.merged_at),
        "isDraft": attribute("draft"),
        "headRefName": attribute("head_ref"),
        "headRefOid": attribute("head_sha"),
        "baseRefName": attribute("base_ref"),
        "mergeable": lambda _, value, __: _MERGEABLE[value.mergeable],
        "closingIssuesReferences": _closes,
    }
    | code.OF_PULLS,
    "Label": {
        "id": attribute("node_id"),
        "name": attribute("name"),
        "color": attribute("color"),
        "description": attribute("description"),
        "isDefault": attribute("default"),
    },
    "IssueComment": {
        "id": attribute("node_id"),
        "databaseId": attribute("id"),
        "fullDatabaseId": lambda _, value, __: str(value.id),
        "body": attribute("body"),
        "author": attribute("user"),
        "editor": attribute("editor"),
        "createdAt": lambda _, value, __: timestamp(value.created_at),
        "updatedAt": lambda _, value, __: timestamp(value.updated_at),
    },
    "User": _PERSON,
    "Bot": _PERSON,
    "Connection": {
        "totalCount": lambda _, value, __: len(value.items),
        "nodes": lambda _, value, __: list(value.items[value.start : value.stop]),
        "pageInfo": page_info,
    },
    **code.TYPES,
    **timeline.TYPES,
    **mutations.TYPES,
}
