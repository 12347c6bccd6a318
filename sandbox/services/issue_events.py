"""Record events of issues and send their webhooks (`issues`, or `pull_request` for a pull request)."""

from __future__ import annotations

from typing import Any

from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.serializers import pulls as pull_serializer
from sandbox.state.models import App, Issue, IssueEvent, User


def record_event(
    hub: Hub,
    issue: Issue,
    event: str,
    actor: User,
    via_app: App | None = None,
    details: dict[str, Any] | None = None,
) -> IssueEvent:
    """Record an event of an issue and update its `updated_at`."""
    now = hub.now()
    issue.updated_at = now
    entry = IssueEvent(
        id=hub.new_id(),
        issue=issue,
        event=event,
        actor=actor,
        created_at=now,
        details=details or {},
        via_app=via_app,
    )
    issue.events.append(entry)
    return entry


def emit(hub: Hub, issue: Issue, action: str, actor: User, **fields: Any) -> None:
    """Send the webhook about an issue, as `pull_request` for a pull request."""
    if issue.pull is None:
        hub.emit(
            issue.repository,
            "issues",
            action,
            sender=actor,
            issue=issue_serializer.issue(hub, issue, webhook=True),
            **fields,
        )
        return
    hub.emit(
        issue.repository,
        "pull_request",
        action,
        sender=actor,
        number=issue.number,
        pull_request=pull_serializer.pull_request(hub, issue.pull),
        **fields,
    )
