"""The permissions that event subscriptions need. Source: GitHub's list of webhook events."""

from collections.abc import Mapping, Sequence

REQUIRED_PERMISSIONS: dict[str, tuple[str, ...]] = {
    "check_run": ("checks",),
    "check_suite": ("checks",),
    "create": ("contents",),
    "delete": ("contents",),
    "issue_comment": ("issues", "pull_requests"),
    "issue_dependencies": ("issues",),
    "issues": ("issues",),
    "label": ("metadata",),
    "member": ("members", "metadata"),
    "merge_group": ("merge_queues",),
    "milestone": ("issues", "pull_requests"),
    "pull_request": ("pull_requests",),
    "pull_request_review": ("pull_requests",),
    "pull_request_review_comment": ("pull_requests",),
    "pull_request_review_thread": ("pull_requests",),
    "push": ("contents",),
    "repository": ("metadata",),
    "repository_dispatch": ("contents",),
    "status": ("statuses",),
    "sub_issues": ("issues",),
    "workflow_dispatch": ("contents",),
    "workflow_job": ("actions",),
    "workflow_run": ("actions",),
}


def check_subscriptions(permissions: Mapping[str, str], events: Sequence[str]) -> None:
    """Raise ValueError for an event that does not exist here or that the permissions do not cover."""
    for event in events:
        if event not in REQUIRED_PERMISSIONS:
            raise ValueError(
                f"an App cannot subscribe to {event!r} here; it can to {', '.join(sorted(REQUIRED_PERMISSIONS))}"
            )
        if not any(permissions.get(name, "none") != "none" for name in REQUIRED_PERMISSIONS[event]):
            alternatives = " or ".join(f"{name}: read" for name in REQUIRED_PERMISSIONS[event])
            raise ValueError(f"to subscribe to {event!r} an App must ask for {alternatives}")
