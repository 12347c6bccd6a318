"""What a delivery does to a task: one file per kind of event.

Every handler goes the same way: gather what the decision needs, then open a unit of work and apply signals.
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
from handlers.context import Delivery, Desk

Handler = Callable[[Delivery, Desk], Awaitable[None]]

# By event; the App's manifest asks for exactly these (installation events come by themselves).
HANDLERS: dict[str, Handler] = {
    "check_run": buttons.pressed,
    "check_suite": checks.suite,
    "installation": installations.installation,
    "installation_repositories": installations.changed,
    "issue_comment": comments.comment,
    "issue_dependencies": dependencies.relation,
    "issues": issues.issue,
    "pull_request": pulls.pull,
    "pull_request_review": reviews.review,
    "push": pushes.push,
    "repository": repositories.repository,
    "status": checks.status,
    "sub_issues": dependencies.relation,
    "workflow_run": workflow_runs.run,
}

__all__ = ["HANDLERS", "Delivery", "Desk", "Handler"]
