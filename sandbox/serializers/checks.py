"""Check runs, check suites and commit statuses as GitHub's JSON shows them."""

from __future__ import annotations

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.hub import Hub
from sandbox.serializers import code as code_serializer
from sandbox.serializers.base import Json, app, repository, repository_url, user
from sandbox.state.models import CheckRun, CheckSuite, CommitStatus, PullRequest


def pull_reference(hub: Hub, item: PullRequest) -> Json:
    """A pull request as check suites, check runs and workflow runs mention it."""
    api_url = repository_url(hub, item.repository)
    repository_reference = {"id": item.repository.id, "url": api_url, "name": item.repository.name}
    return {
        "url": f"{api_url}/pulls/{item.number}",
        "id": item.id,
        "number": item.number,
        "head": {"ref": item.head_ref, "sha": item.head_sha, "repo": repository_reference},
        "base": {"ref": item.base_ref, "sha": item.base_sha, "repo": repository_reference},
    }


def suite_pulls(item: CheckSuite) -> list[PullRequest]:
    """The open pull requests whose head a suite is about."""
    return [pull for pull in item.repository.pulls() if pull.head_sha == item.head_sha and pull.state == "open"]


def check_run(hub: Hub, item: CheckRun) -> Json:
    """A check run, with its suite in short."""
    api_url = repository_url(hub, item.repository)
    html_url = f"{hub.url}/{item.repository.full_name}/runs/{item.id}"
    return {
        "id": item.id,
        "name": item.name,
        "node_id": item.node_id,
        "head_sha": item.head_sha,
        "external_id": item.external_id,
        "url": f"{api_url}/check-runs/{item.id}",
        "html_url": html_url,
        "details_url": item.details_url or html_url,
        "status": item.status,
        "conclusion": item.conclusion,
        "started_at": timestamp_or_none(item.started_at),
        "completed_at": timestamp_or_none(item.completed_at),
        "output": {
            "title": item.title,
            "summary": item.summary,
            "text": item.text,
            "annotations_count": len(item.annotations),
            "annotations_url": f"{api_url}/check-runs/{item.id}/annotations",
        },
        "check_suite": _suite(hub, item.suite),
        "app": app(hub, item.app),
        "pull_requests": [pull_reference(hub, pull) for pull in suite_pulls(item.suite)],
    }


def check_suite(hub: Hub, item: CheckSuite, *, webhook: bool = False) -> Json:
    """A check suite; webhooks leave out its repository, which they have beside it."""
    payload = _suite(hub, item) | {
        "latest_check_runs_count": len(item.latest_runs),
        "check_runs_url": f"{repository_url(hub, item.repository)}/check-suites/{item.id}/check-runs",
        "head_commit": code_serializer.simple_commit(item.repository.git.show(item.head_sha)),
        "rerequestable": True,
        "runs_rerequestable": True,
    }
    if not webhook:
        payload["repository"] = repository(hub, item.repository)
    return payload


def _suite(hub: Hub, item: CheckSuite) -> Json:
    return {
        "id": item.id,
        "node_id": item.node_id,
        "head_branch": item.head_branch,
        "head_sha": item.head_sha,
        "status": item.status,
        "conclusion": item.conclusion,
        "url": f"{repository_url(hub, item.repository)}/check-suites/{item.id}",
        "before": item.before,
        "after": item.after,
        "pull_requests": [pull_reference(hub, pull) for pull in suite_pulls(item)],
        "app": app(hub, item.app),
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
    }


def status(hub: Hub, item: CommitStatus) -> Json:
    """A commit status."""
    return {
        "url": f"{repository_url(hub, item.repository)}/statuses/{item.sha}",
        "avatar_url": f"{hub.url}/avatars/u/{item.creator.id}?v=4",
        "id": item.id,
        "node_id": item.node_id,
        "state": item.state,
        "description": item.description,
        "target_url": item.target_url,
        "context": item.context,
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "creator": user(hub, item.creator),
    }
