"""The models read what GitHub really sends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.github import models
from tests.adapters.github_server import issue

PAYLOADS = Path(__file__).parents[1] / "data" / "github" / "payloads"


def payload(name: str) -> dict[str, Any]:
    return dict(json.loads((PAYLOADS / f"{name}.json").read_text()))


@pytest.mark.parametrize(
    ("file", "key", "model"),
    [
        ("check_run.completed", "check_run", models.CheckRun),
        ("check_suite.completed", "check_suite", models.CheckSuite),
        ("issue_comment.created", "comment", models.Comment),
        ("issue_comment.created", "issue", models.Issue),
        ("issues.labeled", "issue", models.Issue),
        ("issues.labeled", "label", models.Label),
        ("issues.opened", "sender", models.User),
        ("issues.opened", "repository", models.Repository),
        ("pull_request.closed", "pull_request", models.PullRequest),
        ("pull_request.opened", "pull_request", models.PullRequest),
        ("workflow_job.completed", "workflow_job", models.WorkflowJob),
        ("workflow_run.completed", "workflow_run", models.WorkflowRun),
    ],
)
def test_parts_of_real_deliveries_are_read(file: str, key: str, model: type[models.GitHubModel]) -> None:
    part = payload(file)[key]
    assert getattr(model.model_validate(part), "id", None) == part["id"]


def test_times_are_aware_whole_or_with_fractions() -> None:
    read = models.Issue.model_validate(issue())
    assert read.created_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert read.updated_at - read.created_at == timedelta(milliseconds=123)
    with pytest.raises(ValidationError):
        models.Issue.model_validate(issue(created_at="2026-01-31T12:00:00"))


def test_models_do_not_change() -> None:
    read = models.Issue.model_validate(issue())
    with pytest.raises(ValidationError):
        read.title = "other"  # type: ignore[misc]  # that it cannot be set is the point


def test_an_issue_knows_its_repository_its_labels_and_whether_it_is_a_pull_request() -> None:
    home = "https://api.github.com/repos/acme/shop"
    read = models.Issue.model_validate(issue(repository_url=home, labels=[{"name": "task"}]))
    assert (read.repository, read.label_names, read.is_pull_request) == ("acme/shop", {"task"}, False)
    assert models.Issue.model_validate(issue(pull_request={"url": "x"})).is_pull_request
    assert models.Issue.model_validate(issue(user=None)).user is None
    assert models.Issue.model_validate(issue()).repository == ""


def test_a_pull_request_in_a_list_is_merged_when_it_has_a_time_of_merging() -> None:
    part = payload("pull_request.opened")["pull_request"]
    del part["merged"]
    assert not models.PullRequest.model_validate(part).merged
    assert models.PullRequest.model_validate({**part, "merged_at": "2026-01-31T12:00:00Z"}).merged


def test_a_pull_request_from_a_fork_even_a_deleted_one_is_known() -> None:
    part = payload("pull_request.opened")["pull_request"]
    assert not models.PullRequest.model_validate(part).is_from_fork
    other = {**part["head"]["repo"], "id": 5}
    assert models.PullRequest.model_validate({**part, "head": {**part["head"], "repo": other}}).is_from_fork
    assert models.PullRequest.model_validate({**part, "head": {**part["head"], "repo": None}}).is_from_fork


def test_the_state_of_a_review_is_spelt_alike_from_rest_and_webhooks() -> None:
    part = {"id": 1, "html_url": "https://x", "state": "changes_requested"}
    assert models.Review.model_validate(part).state == "CHANGES_REQUESTED"
