"""Relations of issues (dependencies, parents, sub-issues) and their history."""

from __future__ import annotations

from sandbox.clock import timestamp
from sandbox.errors import ApiError, not_found
from sandbox.http.rest.issues import ISSUE, READ
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import issues
from sandbox.state.models import Comment, Issue, IssueEvent

BLOCKED_BY = ISSUE + "/dependencies/blocked_by"


@route("GET", BLOCKED_BY, "issues/list-dependencies-blocked-by", permission="issues:read")
async def list_blocked_by(call: Call) -> Reply:
    """The issues that block this one."""
    return call.paginate(call.issue().blocked_by, lambda issue: issue_serializer.issue(call.hub, issue))


@route("GET", ISSUE + "/dependencies/blocking", "issues/list-dependencies-blocking", permission="issues:read")
async def list_blocking(call: Call) -> Reply:
    """The issues that this one blocks."""
    return call.paginate(call.issue().blocking, lambda issue: issue_serializer.issue(call.hub, issue))


@route("POST", BLOCKED_BY, "issues/add-blocked-by-dependency", permission="issues:write", role="triage")
async def add_blocked_by(call: Call) -> Reply:
    """Add a dependency. The blocker is named by its database id, not by its number."""
    issue = call.issue()
    issues.block(call.hub, issue, _find_issue(call, call.required("issue_id", int)), call.actor, call.via_app)
    return Reply(201, issue_serializer.issue(call.hub, issue))


@route(
    "DELETE",
    BLOCKED_BY + "/{issue_id}",
    "issues/remove-dependency-blocked-by",
    permission="issues:write",
    role="triage",
)
async def remove_blocked_by(call: Call) -> Reply:
    """Remove a dependency."""
    issue, blocker = call.issue(), _find_issue(call, call.number("issue_id"))
    if blocker not in issue.blocked_by:
        raise not_found()
    issues.unblock(call.hub, issue, blocker, call.actor, call.via_app)
    return Reply(200, issue_serializer.issue(call.hub, issue))


@route("GET", ISSUE + "/parent", "issues/get-parent", permission="issues:read")
async def get_parent(call: Call) -> Reply:
    """The parent of a sub-issue."""
    parent = call.issue().parent
    if parent is None:
        raise not_found()
    return Reply(200, issue_serializer.issue(call.hub, parent))


@route("GET", ISSUE + "/sub_issues", "issues/list-sub-issues", permission="issues:read")
async def list_sub_issues(call: Call) -> Reply:
    """The sub-issues, in order."""
    return call.paginate(call.issue().sub_issues, lambda issue: issue_serializer.issue(call.hub, issue))


@route("POST", ISSUE + "/sub_issues", "issues/add-sub-issue", permission="issues:write", role="triage")
async def add_sub_issue(call: Call) -> Reply:
    """Add a sub-issue, named by its database id."""
    child = _find_issue(call, call.required("sub_issue_id", int))
    issue = call.issue()
    replace = bool(call.field("replace_parent", bool))
    issues.add_sub_issue(call.hub, issue, child, call.actor, replace=replace)
    return Reply(201, issue_serializer.issue(call.hub, child))


@route("DELETE", ISSUE + "/sub_issue", "issues/remove-sub-issue", permission="issues:write", role="triage")
async def remove_sub_issue(call: Call) -> Reply:
    """Remove a sub-issue."""
    issue, child = call.issue(), _find_issue(call, call.required("sub_issue_id", int))
    if child not in issue.sub_issues:
        raise not_found()
    issues.remove_sub_issue(call.hub, issue, child, call.actor)
    return Reply(200, issue_serializer.issue(call.hub, child))


@route(
    "PATCH",
    ISSUE + "/sub_issues/priority",
    "issues/reprioritize-sub-issue",
    permission="issues:write",
    role="triage",
)
async def reprioritize_sub_issue(call: Call) -> Reply:
    """Move a sub-issue after or before another."""
    issue, child = call.issue(), _find_issue(call, call.required("sub_issue_id", int))
    after, before = call.field("after_id", int), call.field("before_id", int)
    if child not in issue.sub_issues or (after is None) == (before is None):
        raise ApiError(422, "Name a sub-issue of this issue and either after_id or before_id")
    neighbor = _find_issue(call, after or before or 0)
    if neighbor not in issue.sub_issues or neighbor is child:
        raise ApiError(422, "after_id or before_id must name another sub-issue of the same parent")
    issue.sub_issues.remove(child)
    issue.sub_issues.insert(issue.sub_issues.index(neighbor) + (1 if after else 0), child)
    return Reply(200, issue_serializer.issue(call.hub, child))


# History


@route("GET", ISSUE + "/events", "issues/list-events", permission=READ)
async def list_events(call: Call) -> Reply:
    """The events of an issue, oldest first."""
    return call.paginate(call.issue().events, lambda event: issue_serializer.issue_event(call.hub, event))


@route("GET", ISSUE + "/timeline", "issues/list-events-for-timeline", permission=READ)
async def list_timeline(call: Call) -> Reply:
    """Events and comments together, oldest first."""
    issue = call.issue()
    items: list[IssueEvent | Comment] = [*issue.events, *issue.comments]
    items.sort(key=lambda item: (item.created_at, item.id))
    return call.paginate(items, lambda item: _timeline_item(call, item))


@route("GET", "/repos/{owner}/{repo}/issues/events", "issues/list-events-for-repo", permission=READ)
async def list_repository_events(call: Call) -> Reply:
    """The events of all issues of the repository, newest first."""
    issue_events = [issue_event for issue in call.repository.issues.values() for issue_event in issue.events]
    issue_events.sort(key=lambda event: event.id, reverse=True)
    return call.paginate(issue_events, lambda event: issue_serializer.issue_event(call.hub, event, with_issue=True))


@route("GET", "/repos/{owner}/{repo}/issues/events/{event_id}", "issues/get-event", permission=READ)
async def get_event(call: Call) -> Reply:
    """One event."""
    event_id = call.number("event_id")
    for issue in call.repository.issues.values():
        for issue_event in issue.events:
            if issue_event.id == event_id:
                return Reply(200, issue_serializer.issue_event(call.hub, issue_event, with_issue=True))
    raise not_found()


def _timeline_item(call: Call, item: IssueEvent | Comment) -> dict[str, object]:
    if isinstance(item, IssueEvent):
        return issue_serializer.issue_event(call.hub, item)
    body = issue_serializer.comment(call.hub, item)
    return body | {"event": "commented", "actor": body["user"], "created_at": timestamp(item.created_at)}


def _find_issue(call: Call, issue_id: int) -> Issue:
    for repository in call.hub.repositories.values():
        if repository is call.repository or call.credential.can_see(repository):
            for issue in repository.issues.values():
                if issue.id == issue_id:
                    return issue
    raise ApiError(404, "The provided issue does not exist")
