"""Workflows, runs and jobs, as GitHub shows them in REST and in webhooks."""

from __future__ import annotations

from typing import Any

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.hub import Hub
from sandbox.serializers import code as code_serializer
from sandbox.serializers import issues as issue_serializer
from sandbox.state.ids import node_id
from sandbox.state.models import WorkflowJob, WorkflowRun
from sandbox.state.workflows import Workflow


def workflow(hub: Hub, item: Workflow) -> dict[str, Any]:
    """A workflow."""
    api_url, html_url = (
        issue_serializer.repository_url(hub, item.repository),
        code_serializer.repository_html_url(hub, item.repository),
    )
    branch = item.repository.default_branch
    return {
        "id": item.id,
        "node_id": node_id("W", item.id),
        "name": item.name,
        "path": item.path,
        "state": item.state,
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "url": f"{api_url}/actions/workflows/{item.id}",
        "html_url": f"{html_url}/blob/{branch}/{item.path}",
        "badge_url": f"{html_url}/workflows/{item.name.replace(' ', '%20')}/badge.svg",
    }


def workflow_run(hub: Hub, run: WorkflowRun) -> dict[str, Any]:
    """A run; its pull requests are the open ones, as on GitHub."""
    repository = run.repository
    api_url, html_url = (
        issue_serializer.repository_url(hub, repository),
        code_serializer.repository_html_url(hub, repository),
    )
    url = f"{api_url}/actions/runs/{run.id}"
    suite = run.check_suite
    suite_id = 0 if suite is None else suite.id
    previous_attempt_url = f"{url}/attempts/{run.attempt - 1}" if run.attempt > 1 else None
    return {
        "id": run.id,
        "name": run.name,
        "node_id": run.node_id,
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "path": run.path,
        "display_title": run.display_title,
        "run_number": run.number,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "workflow_id": run.workflow_id,
        "check_suite_id": suite_id,
        "check_suite_node_id": node_id("CS", suite_id),
        "url": url,
        "html_url": f"{html_url}/actions/runs/{run.id}",
        "pull_requests": [issue_serializer.pull_reference(hub, pull) for pull in run.pulls if pull.state == "open"],
        "created_at": timestamp(run.created_at),
        "updated_at": timestamp(run.updated_at),
        "actor": issue_serializer.user(hub, run.actor),
        "run_attempt": run.attempt,
        "referenced_workflows": [],
        "run_started_at": timestamp(run.started_at),
        "triggering_actor": issue_serializer.user(hub, run.triggering_actor or run.actor),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{api_url}/check-suites/{suite_id}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": previous_attempt_url,
        "workflow_url": f"{api_url}/actions/workflows/{run.workflow_id}",
        "head_commit": code_serializer.simple_commit(repository.git.show(run.head_sha)),
        "repository": issue_serializer.repository(hub, repository),
        "head_repository": issue_serializer.repository(hub, repository),
    }


def workflow_job(hub: Hub, job: WorkflowJob) -> dict[str, Any]:
    """A job with its steps."""
    run = job.run
    api_url, html_url = (
        issue_serializer.repository_url(hub, run.repository),
        code_serializer.repository_html_url(hub, run.repository),
    )
    is_assigned = job.status != "queued"
    check_run_id = job.id if job.check_run is None else job.check_run.id
    return {
        "id": job.id,
        "run_id": run.id,
        "workflow_name": run.name,
        "head_branch": run.head_branch,
        "run_url": f"{api_url}/actions/runs/{run.id}",
        "run_attempt": job.attempt,
        "node_id": job.node_id,
        "head_sha": run.head_sha,
        "url": f"{api_url}/actions/jobs/{job.id}",
        "html_url": f"{html_url}/actions/runs/{run.id}/job/{job.id}",
        "status": job.status,
        "conclusion": job.conclusion,
        "created_at": timestamp(job.created_at),
        "started_at": timestamp(job.started_at or job.created_at),
        "completed_at": timestamp_or_none(job.completed_at),
        "name": job.name,
        "steps": [
            {
                "name": step.name,
                "status": step.status,
                "conclusion": step.conclusion,
                "number": step.number,
                "started_at": timestamp_or_none(step.started_at),
                "completed_at": timestamp_or_none(step.completed_at),
            }
            for step in job.steps
        ],
        "check_run_url": f"{api_url}/check-runs/{check_run_id}",
        "labels": ["ubuntu-latest"],
        "runner_id": 1 if is_assigned else None,
        "runner_name": "sandbox" if is_assigned else None,
        "runner_group_id": 1 if is_assigned else None,
        "runner_group_name": "GitHub Actions" if is_assigned else None,
    }
