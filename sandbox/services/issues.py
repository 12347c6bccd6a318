"""Open, edit, close, reopen, assign, lock, block and nest issues, with their webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.errors import ApiError, invalid, invalid_request
from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.services import issue_events
from sandbox.state.models import App, Issue, Label, Organisation, Repository, User, role_at_least

MAX_TITLE, MAX_BODY, MAX_ASSIGNEES, MAX_SUB_ISSUES, MAX_DEPTH, MAX_BLOCKERS = 256, 65_536, 10, 100, 8, 50
STATE_REASONS = ("completed", "not_planned", "duplicate")


def check_text(title: str | None, body: str | None) -> None:
    """Raise ApiError 422 for a title or body that GitHub does not accept."""
    if title is not None and not title.strip():
        raise invalid("Issue", "title", "missing_field")
    if title is not None and len(title) > MAX_TITLE:
        raise invalid("Issue", "title", "custom", "title is too long (maximum is 256 characters)")
    if body is not None and len(body) > MAX_BODY:
        raise invalid("Issue", "body", "custom", "body is too long (maximum is 65536 characters)")


def open_issue(
    hub: Hub,
    repository: Repository,
    actor: User,
    title: str,
    body: str | None = None,
    *,
    issue_labels: Sequence[Label] = (),
    assignees: Sequence[User] = (),
    via_app: App | None = None,
) -> Issue:
    """Open an issue; sends `issues` opened, then one `labeled` per label and one `assigned` per person.

    Raises ApiError 410 when the repository has no issues, 422 for a bad title or body.
    """
    if not repository.has_issues:
        raise ApiError(410, "Issues has been disabled in this repository.")
    check_text(title, body)
    now = hub.now()
    issue = Issue(
        id=hub.new_id(),
        repository=repository,
        number=repository.next_number(),
        title=title,
        body=body,
        user=actor,
        created_at=now,
        updated_at=now,
        via_app=via_app,
    )
    repository.issues[issue.number] = issue
    # GitHub's `opened` webhook has the labels and assignees of the new issue.
    issue.labels = list(issue_labels)
    issue.assignees = list(assignees)
    for label in issue_labels:
        issue_events.record_event(
            hub, issue, "labeled", actor, via_app, {"label": {"name": label.name, "color": label.color}}
        )
    for person in assignees:
        issue_events.record_event(hub, issue, "assigned", actor, via_app, _assignment_details(hub, person, actor))
    issue_events.emit(hub, issue, "opened", actor)
    for label in issue_labels:
        issue_events.emit(hub, issue, "labeled", actor, label=issue_serializer.label(hub, label))
    for person in assignees:
        issue_events.emit(hub, issue, "assigned", actor, assignee=issue_serializer.user(hub, person))
    return issue


def edit(
    hub: Hub,
    issue: Issue,
    actor: User,
    *,
    title: str | None = None,
    body: str | None = None,
    via_app: App | None = None,
) -> None:
    """Edit title or body; sends `edited` with the previous values, nothing when they are the same."""
    check_text(title, body)
    changes: dict[str, dict[str, str]] = {}
    if title is not None and title != issue.title:
        changes["title"] = {"from": issue.title}
        issue_events.record_event(hub, issue, "renamed", actor, via_app, {"rename": {"from": issue.title, "to": title}})
        issue.title = title
    if body is not None and body != (issue.body or ""):
        changes["body"] = {"from": issue.body or ""}
        issue.body, issue.edited_at = body, hub.now()
    if changes:
        issue.updated_at = hub.now()
        issue_events.emit(hub, issue, "edited", actor, changes=changes)


def close(
    hub: Hub,
    issue: Issue,
    actor: User,
    *,
    reason: str = "completed",
    via_app: App | None = None,
    commit_id: str | None = None,
) -> None:
    """Close an open issue; sends `closed`. `commit_id` is the commit whose message closed it."""
    if issue.state == "closed":
        return
    if reason not in STATE_REASONS:
        raise invalid_request(f"For 'properties/state_reason', {reason!r} is not one of {', '.join(STATE_REASONS)}.")
    issue.state, issue.state_reason = "closed", reason
    issue.closed_at, issue.closed_by = hub.now(), actor
    details: dict[str, Any] = {"state_reason": reason}
    if commit_id is not None:
        details |= {
            "commit_id": commit_id,
            "commit_url": f"{issue_serializer.repository_url(hub, issue.repository)}/commits/{commit_id}",
        }
    issue_events.record_event(hub, issue, "closed", actor, via_app, details)
    issue_events.emit(hub, issue, "closed", actor)


def reopen(hub: Hub, issue: Issue, actor: User, *, via_app: App | None = None) -> None:
    """Reopen a closed issue; sends `reopened`."""
    if issue.state == "open":
        return
    issue.state, issue.state_reason, issue.closed_at, issue.closed_by = "open", "reopened", None, None
    issue_events.record_event(hub, issue, "reopened", actor, via_app)
    issue_events.emit(hub, issue, "reopened", actor)


def is_assignable(hub: Hub, repository: Repository, person: User, assigner: User | None = None) -> bool:
    """Whether GitHub lets this person be assigned: members and collaborators can be.

    An agent that takes assignments can be assigned where it is enabled, and only by people.
    """
    if person in (agent.account for agent in hub.cloud_agents.values() if agent.mention is None):
        return assigner is not None and assigner.type == "User" and role_at_least(repository.role_of(assigner), "write")
    is_member = isinstance(repository.owner, Organisation) and person.id in repository.owner.members
    return person.type == "User" and (is_member or repository.is_collaborator(person))


def assign(
    hub: Hub,
    issue: Issue,
    people: Sequence[User],
    actor: User,
    via_app: App | None = None,
    assignment: dict[str, Any] | None = None,
) -> None:
    """Assign people; one `assigned` for each new one. Those who cannot be assigned are left out silently."""
    for person in people:
        if person in issue.assignees or not is_assignable(hub, issue.repository, person, actor):
            continue
        if len(issue.assignees) == MAX_ASSIGNEES:
            return
        issue.assignees.append(person)
        issue_events.record_event(hub, issue, "assigned", actor, via_app, _assignment_details(hub, person, actor))
        issue_events.emit(hub, issue, "assigned", actor, assignee=issue_serializer.user(hub, person))
        for agent in hub.cloud_agents.values():
            if agent.account is person:
                agent.start_on_assignment(hub, issue, actor, assignment or {})


def unassign(hub: Hub, issue: Issue, people: Sequence[User], actor: User, via_app: App | None = None) -> None:
    """Unassign people; one `unassigned` for each."""
    for person in people:
        if person in issue.assignees:
            issue.assignees.remove(person)
            issue_events.record_event(hub, issue, "unassigned", actor, via_app, _assignment_details(hub, person, actor))
            issue_events.emit(hub, issue, "unassigned", actor, assignee=issue_serializer.user(hub, person))
            for agent in hub.cloud_agents.values():
                if agent.account is person:
                    agent.stop(issue)


def lock(hub: Hub, issue: Issue, actor: User, reason: str | None, via_app: App | None = None) -> None:
    """Lock the conversation to people with write access; sends `locked`."""
    if not issue.locked:
        issue.locked, issue.lock_reason = True, reason
        issue_events.record_event(hub, issue, "locked", actor, via_app, {"lock_reason": reason})
        issue_events.emit(hub, issue, "locked", actor)


def unlock(hub: Hub, issue: Issue, actor: User, via_app: App | None = None) -> None:
    """Unlock the conversation; sends `unlocked`."""
    if issue.locked:
        issue.locked, issue.lock_reason = False, None
        issue_events.record_event(hub, issue, "unlocked", actor, via_app)
        issue_events.emit(hub, issue, "unlocked", actor)


def block(hub: Hub, issue: Issue, blocker: Issue, actor: User, via_app: App | None = None) -> None:
    """Mark `issue` as blocked by `blocker`; sends `issue_dependencies`. Raises ApiError 422 for itself or a repeat."""
    if blocker is issue:
        raise ApiError(422, "An issue cannot be blocked by itself")
    if blocker in issue.blocked_by:
        raise ApiError(422, "Validation failed: this dependency exists already")
    if issue in blocker.blocked_by:
        raise ApiError(422, "Validation failed: the dependency would be circular")
    if len(issue.blocked_by) >= MAX_BLOCKERS:
        raise ApiError(422, f"An issue can be blocked by at most {MAX_BLOCKERS} issues")
    issue.blocked_by.append(blocker)
    blocker.blocking.append(issue)
    issue_events.record_event(hub, issue, "blocked_by_added", actor, via_app)
    issue_events.record_event(hub, blocker, "blocking_added", actor, via_app)
    _emit_dependency(hub, issue, blocker, actor, "added")


def unblock(hub: Hub, issue: Issue, blocker: Issue, actor: User, via_app: App | None = None) -> None:
    """Remove a dependency; sends `issue_dependencies`."""
    issue.blocked_by.remove(blocker)
    blocker.blocking.remove(issue)
    issue_events.record_event(hub, issue, "blocked_by_removed", actor, via_app)
    issue_events.record_event(hub, blocker, "blocking_removed", actor, via_app)
    _emit_dependency(hub, issue, blocker, actor, "removed")


def add_sub_issue(hub: Hub, parent: Issue, child: Issue, actor: User, *, replace: bool = False) -> None:
    """Make an issue a sub-issue; sends `sub_issues`. Raises ApiError 422 above GitHub's limits or for a cycle."""
    ancestor = parent
    for depth in range(1, MAX_DEPTH + 1):
        if ancestor is child:
            raise ApiError(422, "Sub issue may not create a circular dependency")
        if ancestor.parent is None:
            break
        if depth == MAX_DEPTH:
            raise ApiError(422, f"Sub issues may be nested at most {MAX_DEPTH} levels deep")
        ancestor = ancestor.parent
    if child.parent is not None and not (replace and child.parent is not parent):
        raise ApiError(422, "An error occurred while adding the sub-issue: issue may only have one parent")
    if len(parent.sub_issues) >= MAX_SUB_ISSUES:
        raise ApiError(422, f"Parent cannot have more than {MAX_SUB_ISSUES} sub-issues")
    if child.parent is not None:
        remove_sub_issue(hub, child.parent, child, actor)
    parent.sub_issues.append(child)
    child.parent = parent
    issue_events.record_event(hub, parent, "sub_issue_added", actor)
    issue_events.record_event(hub, child, "parent_issue_added", actor)
    _emit_sub_issue(hub, parent, child, actor, "added")


def remove_sub_issue(hub: Hub, parent: Issue, child: Issue, actor: User) -> None:
    """Remove a sub-issue from its parent; sends `sub_issues`."""
    parent.sub_issues.remove(child)
    child.parent = None
    issue_events.record_event(hub, parent, "sub_issue_removed", actor)
    issue_events.record_event(hub, child, "parent_issue_removed", actor)
    _emit_sub_issue(hub, parent, child, actor, "removed")


def can_triage(actor: User, repository: Repository) -> bool:
    """Whether a person may label, assign and close other people's issues."""
    return role_at_least(repository.role_of(actor), "triage")


def existing_labels(repository: Repository, names: Sequence[str]) -> list[Label]:
    """The labels of a form that exist; others are dropped silently, as by GitHub's issue forms."""
    candidates = (repository.label(name) for name in names)
    return list(dict.fromkeys(label for label in candidates if label is not None))


def _assignment_details(hub: Hub, person: User, actor: User) -> dict[str, Any]:
    return {"assignee": issue_serializer.user(hub, person), "assigner": issue_serializer.user(hub, actor)}


def _emit_dependency(hub: Hub, issue: Issue, blocker: Issue, actor: User, change: str) -> None:
    common_fields = {
        "blocked_issue_id": issue.id,
        "blocked_issue": issue_serializer.issue(hub, issue, webhook=True),
        "blocking_issue_id": blocker.id,
        "blocking_issue": issue_serializer.issue(hub, blocker, webhook=True),
    }
    hub.emit(
        issue.repository,
        "issue_dependencies",
        f"blocked_by_{change}",
        sender=actor,
        **common_fields,
        blocking_issue_repo=issue_serializer.repository(hub, blocker.repository),
    )
    hub.emit(
        blocker.repository,
        "issue_dependencies",
        f"blocking_{change}",
        sender=actor,
        **common_fields,
        blocked_issue_repo=issue_serializer.repository(hub, issue.repository),
    )


def _emit_sub_issue(hub: Hub, parent: Issue, child: Issue, actor: User, change: str) -> None:
    common_fields = {
        "sub_issue_id": child.id,
        "sub_issue": issue_serializer.issue(hub, child, webhook=True),
        "parent_issue_id": parent.id,
        "parent_issue": issue_serializer.issue(hub, parent, webhook=True),
    }
    hub.emit(
        parent.repository,
        "sub_issues",
        f"sub_issue_{change}",
        sender=actor,
        **common_fields,
        sub_issue_repo=issue_serializer.repository(hub, child.repository),
    )
    hub.emit(
        child.repository,
        "sub_issues",
        f"parent_issue_{change}",
        sender=actor,
        **common_fields,
        parent_issue_repo=issue_serializer.repository(hub, parent.repository),
    )
