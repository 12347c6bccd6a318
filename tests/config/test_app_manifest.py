"""app.yml: a manifest that GitHub takes, with events that its permissions cover."""

from pathlib import Path
from urllib.parse import urlsplit

import yaml

MANIFEST = yaml.safe_load((Path(__file__).parents[2] / "app.yml").read_text(encoding="utf-8"))

# From GitHub's documentation: the permission without which an App may not subscribe to the event.
NEEDED = {
    "check_run": "checks",
    "check_suite": "checks",
    "create": "contents",
    "delete": "contents",
    "issue_comment": "issues",
    "issue_dependencies": "issues",
    "issues": "issues",
    "label": "metadata",
    "pull_request": "pull_requests",
    "pull_request_review": "pull_requests",
    "pull_request_review_comment": "pull_requests",
    "push": "contents",
    "repository": "metadata",
    "status": "statuses",
    "sub_issues": "issues",
    "workflow_job": "actions",
    "workflow_run": "actions",
}


def test_the_manifest_has_what_github_asks_for() -> None:
    assert set(MANIFEST) <= {
        *("name", "description", "url", "hook_attributes", "redirect_url", "callback_urls", "setup_url"),
        *("public", "default_events", "default_permissions", "request_oauth_on_install", "setup_on_update"),
    }
    assert MANIFEST["public"] is False
    assert len(MANIFEST["name"]) <= 34, "GitHub's limit for an App's name"
    for address in (MANIFEST["url"], MANIFEST["hook_attributes"]["url"]):
        assert urlsplit(address).scheme == "https"
    assert MANIFEST["hook_attributes"]["url"].endswith("/webhook")


def test_every_event_is_covered_by_a_permission() -> None:
    events = MANIFEST["default_events"]
    assert events == sorted(set(events))
    for event in events:
        assert NEEDED[event] in MANIFEST["default_permissions"], event


def test_permissions_are_read_or_write() -> None:
    assert set(MANIFEST["default_permissions"].values()) <= {"read", "write"}
    assert MANIFEST["default_permissions"]["metadata"] == "read"
