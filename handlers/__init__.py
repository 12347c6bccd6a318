"""Handles deliveries: one file per GitHub event.

Every handler works the same way: it gathers what the decision needs, then opens a unit of work and applies signals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from handlers import (
    buttons,
    checks,
    comments,
    dependencies,
    installations,
    issues,
    pulls,
    pushes,
    repositories,
    reviews,
    workflow_runs,
)
from handlers.context import Delivery, HandlerContext

Handler = Callable[[Delivery, HandlerContext], Awaitable[None]]

# By event; the App's manifest subscribes to exactly these (installation events always arrive).
HANDLERS: dict[str, Handler] = {
    "check_run": buttons.on_button,
    "check_suite": checks.on_check_suite,
    "installation": installations.on_installation,
    "installation_repositories": installations.on_installation_repositories,
    "issue_comment": comments.on_issue_comment,
    "issue_dependencies": dependencies.on_dependency,
    "issues": issues.on_issue,
    "pull_request": pulls.on_pull_request,
    "pull_request_review": reviews.on_review,
    "push": pushes.on_push,
    "repository": repositories.on_repository,
    "status": checks.on_status,
    "sub_issues": dependencies.on_dependency,
    "workflow_run": workflow_runs.on_workflow_run,
}

__all__ = ["HANDLERS", "Delivery", "Handler", "HandlerContext"]
