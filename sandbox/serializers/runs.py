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


def workflow(hub: Hub, value: Workflow) -> dict[str, Any]:
    """A workflow."""
    at, page = issue_serializer.repository_url(hub, value.repository), code_serializer.html(hub, value.repository)
    branch = value.repository.default_branch
    return {
        "id": value.id,
        "node_id": node_id("W", value.id),
        "name": value.name,
        "path": value.path,
        "state": value.state,
        "created_at": timestamp(value.created_at),
        "updated_at": timestamp(value.updated_at),
        "url": f"{at}/actions/workflows/{value.id}",
        "html_url": f"{page}/blob/{branch}/{value.path}",
        "badge_url": f"{page}/workflows/{value.name.replace(' ', '%20')}/badge.svg",
    }


def workflow_run(hub: Hub, run: WorkflowRun) -> dict[str, Any]:
    """A run; its pull requests are the open ones, as on GitHub."""
    repository = run.repository
    at, page = issue_serializer.repository_url(hub, repository), code_serializer.html(hub, repository)
    url = f"{at}/actions/runs/{run.id}"
    suite = run.check_suite
    suite_id = 0 if suite is None else suite.id
    earlier = f"{url}/attempts/{run.attempt - 1}" if run.attempt > 1 else None
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
        "html_url": f"{page}/actions/runs/{run.id}",
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
        "check_suite_url": f"{at}/check-suites/{suite_id}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": earlier,
        "workflow_url": f"{at}/actions/workflows/{run.workflow_id}",
        "head_commit": code_serializer.simple_commit(repository.git.show(run.head_sha)),
        "repository": issue_serializer.repository(hub, repository),
        "head_repository": issue_serializer.repository(hub, repository),
    }


def workflow_job(hub: Hub, job: WorkflowJob) -> dict[str, Any]:
    """A job with its steps."""
    run = job.run
    at, page = issue_serializer.repository_url(hub, run.repository), code_serializer.html(hub, run.repository)
    taken = job.status != "queued"
    check = job.id if job.check_run is None else job.check_run.id
    return {
        "id": job.id,
        "run_id": run.id,
        "workflow_name": run.name,
        "head_branch": run.head_branch,
        "run_url": f"{at}/actions/runs/{run.id}",
        "run_attempt": job.attempt,
        "node_id": job.node_id,
        "head_sha": run.head_sha,
        "url": f"{at}/actions/jobs/{job.id}",
        "html_url": f"{page}/actions/runs/{run.id}/job/{job.id}",
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
        "check_run_url": f"{at}/check-runs/{check}",
        "labels": ["ubuntu-latest"],
        "runner_id": 1 if taken else None,
        "runner_name": "sandbox" if taken else None,
        "runner_group_id": 1 if taken else None,
        "runner_group_name": "GitHub Actions" if taken else None,
    }
