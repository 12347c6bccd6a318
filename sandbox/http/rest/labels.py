"""Labels of a repository and of an issue."""

from __future__ import annotations

from sandbox.errors import ApiError, invalid_request, not_found
from sandbox.http.rest.issues import READ, WRITE, label_names
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import labels
from sandbox.state.models import Label

LABELS = "/repos/{owner}/{repo}/labels"
ISSUE_LABELS = "/repos/{owner}/{repo}/issues/{issue_number}/labels"


@route("GET", LABELS, "issues/list-labels-for-repo", permission=READ)
async def list_labels(call: Call) -> Reply:
    """All labels of the repository."""
    return call.paginate(list(call.repository.labels.values()), lambda label: issue_serializer.label(call.hub, label))


@route("POST", LABELS, "issues/create-label", permission=WRITE, role="write")
async def create_label(call: Call) -> Reply:
    """Create a label; 422 already_exists when there is one of that name."""
    label = labels.create(
        call.hub,
        call.repository,
        call.actor,
        call.required("name", str),
        call.text("color"),
        call.text("description"),
    )
    body = issue_serializer.label(call.hub, label)
    return Reply(201, body, {"Location": body["url"]})


@route("GET", LABELS + "/{name}", "issues/get-label", permission=READ)
async def get_label(call: Call) -> Reply:
    """One label."""
    return Reply(200, issue_serializer.label(call.hub, _find_label(call)))


@route("PATCH", LABELS + "/{name}", "issues/update-label", permission=WRITE, role="write")
async def update_label(call: Call) -> Reply:
    """Change a label."""
    label = _find_label(call)
    labels.update(
        call.hub,
        label,
        call.actor,
        name=call.text("new_name"),
        color=call.text("color"),
        description=call.text("description"),
    )
    return Reply(200, issue_serializer.label(call.hub, label))


@route("DELETE", LABELS + "/{name}", "issues/delete-label", permission=WRITE, role="write")
async def delete_label(call: Call) -> Reply:
    """Delete a label and remove it from every issue."""
    labels.delete(call.hub, _find_label(call), call.actor)
    return Reply(204)


@route("GET", ISSUE_LABELS, "issues/list-labels-on-issue", permission=READ)
async def list_issue_labels(call: Call) -> Reply:
    """The labels of an issue."""
    return call.paginate(call.issue().labels, lambda label: issue_serializer.label(call.hub, label))


@route("POST", ISSUE_LABELS, "issues/add-labels", permission=WRITE, role="triage")
async def add_issue_labels(call: Call) -> Reply:
    """Add labels; unknown ones are created."""
    issue = call.issue()
    issue_labels = labels.get_or_create_labels(call.hub, call.repository, call.actor, _requested_label_names(call))
    labels.label_issue(call.hub, issue, issue_labels, call.actor, call.via_app)
    return Reply(200, [issue_serializer.label(call.hub, label) for label in issue.labels])


@route("PUT", ISSUE_LABELS, "issues/set-labels", permission=WRITE, role="triage")
async def replace_issue_labels(call: Call) -> Reply:
    """Replace the labels."""
    issue = call.issue()
    issue_labels = labels.get_or_create_labels(call.hub, call.repository, call.actor, _requested_label_names(call))
    labels.replace_labels(call.hub, issue, issue_labels, call.actor, call.via_app)
    return Reply(200, [issue_serializer.label(call.hub, label) for label in issue.labels])


@route("DELETE", ISSUE_LABELS, "issues/remove-all-labels", permission=WRITE, role="triage")
async def remove_all_issue_labels(call: Call) -> Reply:
    """Remove all labels."""
    labels.replace_labels(call.hub, call.issue(), [], call.actor, call.via_app)
    return Reply(204)


@route("DELETE", ISSUE_LABELS + "/{name}", "issues/remove-label", permission=WRITE, role="triage")
async def remove_issue_label(call: Call) -> Reply:
    """Remove one label; 404 when the issue does not have it."""
    issue = call.issue()
    label = call.repository.label(call.params["name"])
    if label is None or label not in issue.labels:
        raise ApiError(404, "Label does not exist")
    labels.unlabel_issue(call.hub, issue, label, call.actor, call.via_app)
    return Reply(200, [issue_serializer.label(call.hub, label) for label in issue.labels])


def _find_label(call: Call) -> Label:
    label = call.repository.label(call.params["name"])
    if label is None:
        raise not_found()
    return label


def _requested_label_names(call: Call) -> list[str]:
    items = call.body if isinstance(call.body, list) else call.field("labels", list)
    if items is None:
        raise invalid_request('"labels" wasn\'t supplied.')
    return label_names(items)
