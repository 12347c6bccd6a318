"""Labels of repositories and issues. Names ignore case, as on GitHub."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sandbox.errors import invalid
from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.services import issue_events
from sandbox.state.models import App, Issue, Label, Repository, User

DEFAULT_COLOR = "ededed"  # the colour of a label that was created when it was added to an issue
MAX_NAME, MAX_DESCRIPTION, MAX_LABELS = 50, 100, 100
_COLOR = re.compile(r"[0-9a-fA-F]{6}")


def add_label(
    hub: Hub,
    repository: Repository,
    name: str,
    color: str | None,
    description: str | None,
    *,
    default: bool = False,
) -> Label:
    """Create a label without a webhook. Raises ApiError 422 for a bad or taken name, or a bad colour."""
    check_name(repository, name)
    color = DEFAULT_COLOR if color is None else color
    if not _COLOR.fullmatch(color):
        raise invalid("Label", "color")
    if description is not None and len(description) > MAX_DESCRIPTION:
        raise invalid("Label", "description", message="description is too long (maximum is 100 characters)")
    label = Label(
        id=hub.new_id(),
        repository=repository,
        name=name,
        color=color.lower(),
        description=description,
        default=default,
    )
    repository.labels[name.lower()] = label
    return label


def check_name(repository: Repository, name: str, *, exclude: Label | None = None) -> None:
    """Raise ApiError 422 when a label cannot have that name."""
    if not name.strip():
        raise invalid("Label", "name", "missing_field")
    if len(name) > MAX_NAME:
        raise invalid("Label", "name", "custom", "name is too long (maximum is 50 characters)")
    existing = repository.label(name)
    if existing is not None and existing is not exclude:
        raise invalid("Label", "name", "already_exists")


def create(
    hub: Hub, repository: Repository, actor: User, name: str, color: str | None, description: str | None
) -> Label:
    """Create a label; sends `label` created."""
    label = add_label(hub, repository, name, color, description)
    hub.emit(repository, "label", "created", sender=actor, label=issue_serializer.label(hub, label))
    return label


def update(
    hub: Hub,
    label: Label,
    actor: User,
    *,
    name: str | None = None,
    color: str | None = None,
    description: str | None = None,
) -> None:
    """Edit a label; sends `label` edited with the previous values. Raises ApiError 422."""
    repository = label.repository
    changes: dict[str, dict[str, str]] = {}
    if name is not None and name != label.name:
        check_name(repository, name, exclude=label)
        changes["name"] = {"from": label.name}
        del repository.labels[label.name.lower()]
        label.name = name
        repository.labels[name.lower()] = label
    if color is not None and color.lower() != label.color:
        if not _COLOR.fullmatch(color):
            raise invalid("Label", "color")
        changes["color"] = {"from": label.color}
        label.color = color.lower()
    if description is not None and description != (label.description or ""):
        changes["description"] = {"from": label.description or ""}
        label.description = description
    if changes:
        hub.emit(repository, "label", "edited", sender=actor, label=issue_serializer.label(hub, label), changes=changes)


def delete(hub: Hub, label: Label, actor: User) -> None:
    """Delete a label: sends `unlabeled` for every issue that had it, then `label` deleted."""
    repository = label.repository
    for issue in repository.issues.values():
        if label in issue.labels:
            unlabel_issue(hub, issue, label, actor)
    del repository.labels[label.name.lower()]
    hub.emit(repository, "label", "deleted", sender=actor, label=issue_serializer.label(hub, label))


def get_or_create_labels(hub: Hub, repository: Repository, actor: User, names: Sequence[str]) -> list[Label]:
    """The labels of those names, each once; unknown ones are created, as GitHub does when labels are added."""
    labels_by_id: dict[int, Label] = {}
    for name in names:
        label = repository.label(name) or create(hub, repository, actor, name, None, None)
        labels_by_id[label.id] = label
    return list(labels_by_id.values())


def label_issue(hub: Hub, issue: Issue, labels: Sequence[Label], actor: User, via_app: App | None = None) -> None:
    """Add labels to an issue; one `labeled` for each new one. Raises ApiError 422 above 100 labels."""
    new = [label for label in labels if label not in issue.labels]
    if len(issue.labels) + len(new) > MAX_LABELS:
        raise invalid("Issue", "labels", "custom", "An issue can have up to 100 labels")
    for label in new:
        issue.labels.append(label)
        _record_change(hub, issue, label, "labeled", actor, via_app)


def unlabel_issue(hub: Hub, issue: Issue, label: Label, actor: User, via_app: App | None = None) -> None:
    """Remove a label from an issue that has it; sends `unlabeled`."""
    issue.labels.remove(label)
    _record_change(hub, issue, label, "unlabeled", actor, via_app)


def replace_labels(hub: Hub, issue: Issue, labels: Sequence[Label], actor: User, via_app: App | None = None) -> None:
    """Replace the labels of an issue; one webhook for each that is added or removed."""
    for label in [label for label in issue.labels if label not in labels]:
        unlabel_issue(hub, issue, label, actor, via_app)
    label_issue(hub, issue, labels, actor, via_app)


def _record_change(hub: Hub, issue: Issue, label: Label, action: str, actor: User, via_app: App | None) -> None:
    issue_events.record_event(hub, issue, action, actor, via_app, {"label": {"name": label.name, "color": label.color}})
    issue_events.emit(hub, issue, action, actor, label=issue_serializer.label(hub, label))
