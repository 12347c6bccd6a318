"""Determines which deliveries must be handled in sequence: those about the same issue."""

from __future__ import annotations

from typing import Any

from adapters.agents.actions import task_in_run_name
from core.intake.references import parse_branch

# Where a payload names its branch.
_BRANCHES = (
    ("pull_request", "head", "ref"),
    ("check_run", "check_suite", "head_branch"),
    ("check_suite", "head_branch"),
    ("workflow_run", "head_branch"),
    ("ref",),  # of a push
)


def lock_key(event: str, payload: dict[str, Any]) -> str:
    """A name that deliveries about the same thing share, as far as the payload alone shows.

    It keeps the usual order; the rules do not depend on it, because GitHub does not guarantee any.
    """
    repository = payload.get("repository")
    if not isinstance(repository, dict):
        return f"{event}:{_get_path(payload, 'installation', 'id')}"
    return f"issue:{repository.get('id')}:{_lock_subject(event, payload)}"


def _lock_subject(event: str, payload: dict[str, Any]) -> object:
    issue_key = {"issue_dependencies": "blocked_issue", "sub_issues": "parent_issue"}.get(event, "issue")
    number = _number(payload, issue_key)
    if number is not None:
        return number
    for path in _BRANCHES:
        branch = parse_branch(str(_get_path(payload, *path) or "").removeprefix("refs/heads/"))
        if branch:
            return branch[0]
    run = task_in_run_name(str(_get_path(payload, "workflow_run", "display_title") or ""))
    if run:
        return run[0]
    pull = _number(payload, "pull_request")
    return f"pull-{pull}" if pull is not None else event


def _number(payload: dict[str, Any], section: str) -> int | None:
    """The number of an issue or pull request; None if it is no valid number."""
    number = _get_path(payload, section, "number")
    return number if isinstance(number, int) and 0 < number < 10**10 else None


def _get_path(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
