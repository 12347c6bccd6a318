"""Issues: list, open, read, change, assign, lock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.errors import ApiError, invalid, invalid_request, not_found
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import issues, labels, pulls
from sandbox.state.models import Issue, Label, User

ISSUES = "/repos/{owner}/{repo}/issues"
ISSUE = ISSUES + "/{issue_number}"
READ = "issues:read|pull_requests:read"
WRITE = "issues:write|pull_requests:write"


@route("GET", ISSUES, "issues/list-for-repo", permission=READ)
async def list_issues(call: Call) -> Reply:
    """Issues and pull requests, newest first, filtered by state, labels, assignee, creator, since."""
    query = call.query
    state = query.get("state", "open")
    if state not in ("open", "closed", "all"):
        raise invalid("Issue", "state")
    label_names = {name.lower() for name in query.get("labels", "").split(",") if name}
    since = _parse_time(query["since"]) if "since" in query else None
    matching_issues = [
        issue
        for issue in call.repository.issues.values()
        if (state in ("all", issue.state))
        and label_names <= {name.lower() for name in issue.label_names}
        and (since is None or issue.updated_at >= since)
        and _has_assignee(issue, query.get("assignee"))
        and query.get("creator", issue.user.login).lower() == issue.user.login.lower()
        and f"@{query.get('mentioned', '')}" in (issue.body or "") + "@"
    ]
    sort = query.get("sort", "created")
    sort_keys: dict[str, Any] = {
        "created": lambda issue: (issue.created_at, issue.number),
        "updated": lambda issue: (issue.updated_at, issue.number),
        "comments": lambda issue: (len(issue.comments), issue.number),
    }
    if sort not in sort_keys:
        raise invalid("Issue", "sort")
    matching_issues.sort(key=sort_keys[sort], reverse=query.get("direction", "desc") != "asc")
    return call.paginate(matching_issues, lambda issue: issue_serializer.issue(call.hub, issue))


@route("POST", ISSUES, "issues/create", permission="issues:write", role="read", content=True)
async def create_issue(call: Call) -> Reply:
    """Open an issue. Without triage, labels and assignees are dropped silently, as on GitHub."""
    title = _title(call)
    if title is None:
        raise invalid_request('"title" wasn\'t supplied.')
    issue_labels: list[Label] = []
    people: list[User] = []
    if _can_triage(call):
        names = label_names(call.field("labels", list))
        issue_labels = labels.get_or_create_labels(call.hub, call.repository, call.actor, names)
        people = _find_people(call, _requested_assignees(call) or [])
    issue = issues.open_issue(
        call.hub,
        call.repository,
        call.actor,
        title,
        call.text("body"),
        issue_labels=issue_labels,
        assignees=people,
        via_app=call.via_app,
    )
    body = issue_serializer.issue(call.hub, issue)
    return Reply(201, body, {"Location": body["url"]})


@route("GET", ISSUE, "issues/get", permission=READ)
async def get_issue(call: Call) -> Reply:
    """One issue."""
    return Reply(200, issue_serializer.issue(call.hub, call.issue()))


@route("PATCH", ISSUE, "issues/update", permission=WRITE, role="read")
async def update_issue(call: Call) -> Reply:
    """Update title, body, state, labels and assignees, as far as the body has them."""
    issue, via_app = call.issue(), call.via_app
    if issue.user is not call.actor and not _can_triage(call):
        raise ApiError(403, "Must have admin rights to Repository.")
    title = _title(call)
    body = call.text("body")
    if call.has_field("body") and body is None:
        body = ""
    issues.edit(call.hub, issue, call.actor, title=title, body=body, via_app=via_app)
    if call.has_field("labels") and _can_triage(call):
        names = label_names(call.field("labels", list))
        issue_labels = labels.get_or_create_labels(call.hub, call.repository, call.actor, names)
        labels.replace_labels(call.hub, issue, issue_labels, call.actor, via_app)
    assignees = _requested_assignees(call)
    if assignees is not None and _can_triage(call):
        people = _find_people(call, assignees)
        issues.unassign(
            call.hub, issue, [person for person in issue.assignees if person not in people], call.actor, via_app
        )
        issues.assign(call.hub, issue, people, call.actor, via_app)
    state, reason = call.text("state"), call.text("state_reason")
    if state not in (None, "open", "closed"):
        raise invalid("Issue", "state")
    if state == "closed":
        if issue.pull is not None:
            pulls.close(call.hub, issue.pull, call.actor)
        elif issue.state == "closed" and reason in issues.STATE_REASONS:
            issue.state_reason = reason
        else:
            issues.close(call.hub, issue, call.actor, reason=reason or "completed", via_app=via_app)
    elif state == "open" and issue.state == "closed":
        if issue.pull is not None:
            await pulls.reopen(call.hub, issue.pull, call.actor)
        else:
            issues.reopen(call.hub, issue, call.actor, via_app=via_app)
    return Reply(200, issue_serializer.issue(call.hub, issue))


# Assignees


@route("GET", "/repos/{owner}/{repo}/assignees", "issues/list-assignees", permission="metadata:read")
async def list_assignees(call: Call) -> Reply:
    """The people who can be assigned."""
    people = [person for person in call.hub.users.values() if issues.is_assignable(call.hub, call.repository, person)]
    return call.paginate(people, lambda person: issue_serializer.user(call.hub, person))


@route(
    "GET",
    ISSUE + "/assignees/{assignee}",
    "issues/check-user-can-be-assigned-to-issue",
    permission="metadata:read",
)
async def check_assignee(call: Call) -> Reply:
    """204 when that person can be assigned."""
    call.issue()
    person = call.hub.users.get(call.params["assignee"].lower())
    if person is None or not issues.is_assignable(call.hub, call.repository, person):
        raise not_found()
    return Reply(204)


@route("POST", ISSUE + "/assignees", "issues/add-assignees", permission=WRITE, role="triage")
async def add_assignees(call: Call) -> Reply:
    """Assign people; those who cannot be are left out silently."""
    issue = call.issue()
    people = _find_people(call, call.field("assignees", list) or [], strict=False)
    assignment: dict[str, Any] | None = call.field("agent_assignment", dict)
    issues.assign(call.hub, issue, people, call.actor, call.via_app, assignment)
    return Reply(201, issue_serializer.issue(call.hub, issue))


@route("DELETE", ISSUE + "/assignees", "issues/remove-assignees", permission=WRITE, role="triage")
async def remove_assignees(call: Call) -> Reply:
    """Unassign people."""
    issue = call.issue()
    people = [person for person in issue.assignees if person.login in (call.field("assignees", list) or [])]
    issues.unassign(call.hub, issue, people, call.actor, call.via_app)
    return Reply(200, issue_serializer.issue(call.hub, issue))


@route("PUT", ISSUE + "/lock", "issues/lock", permission=WRITE, role="triage")
async def lock_issue(call: Call) -> Reply:
    """Lock the conversation."""
    reason = call.text("lock_reason")
    if reason not in (None, "off-topic", "too heated", "resolved", "spam"):
        raise invalid("Issue", "lock_reason")
    issues.lock(call.hub, call.issue(), call.actor, reason, call.via_app)
    return Reply(204)


@route("DELETE", ISSUE + "/lock", "issues/unlock", permission=WRITE, role="triage")
async def unlock_issue(call: Call) -> Reply:
    """Unlock the conversation."""
    issues.unlock(call.hub, call.issue(), call.actor, call.via_app)
    return Reply(204)


def _title(call: Call) -> str | None:
    """The title of the body: a text, or a number, which GitHub accepts too."""
    title = call.body.get("title") if isinstance(call.body, dict) else None
    return str(title) if isinstance(title, int) else call.text("title")


def label_names(items: list[Any] | None) -> list[str]:
    """The names in a list of labels, given as texts or objects. Raises ApiError 422."""
    names = [label.get("name") if isinstance(label, dict) else label for label in items or []]
    for name in names:
        if not isinstance(name, str):
            raise invalid_request(f"For 'labels/items', {name!r} is not a string.")
    return [str(name) for name in names]


def _can_triage(call: Call) -> bool:
    if call.credential.kind in ("installation", "run"):
        return True
    return issues.can_triage(call.actor, call.repository)


def _requested_assignees(call: Call) -> list[Any] | None:
    if call.has_field("assignees"):
        return call.field("assignees", list) or []
    if call.has_field("assignee"):
        login = call.text("assignee")
        return [login] if login else []
    return None


def _find_people(call: Call, assignees: list[Any], *, strict: bool = True) -> list[User]:
    people: dict[int, User] = {}
    for assignee in assignees:
        login = assignee.get("login") if isinstance(assignee, dict) else assignee
        person = call.hub.users.get(str(login).lower())
        if person is not None and issues.is_assignable(call.hub, call.repository, person, call.actor):
            people[person.id] = person
        elif strict:
            raise invalid("Issue", "assignees", "invalid")
    return list(people.values())


def _has_assignee(issue: Issue, login: str | None) -> bool:
    if login is None:
        return True
    if login == "none":
        return not issue.assignees
    return (login == "*" and bool(issue.assignees)) or login.lower() in [
        person.login.lower() for person in issue.assignees
    ]


def _parse_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid("Issue", "since") from error
    if time.tzinfo is None:
        raise invalid("Issue", "since")
    return time
