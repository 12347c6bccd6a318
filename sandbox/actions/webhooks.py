"""The states of runs and jobs, with their check runs and webhooks.

Order as on GitHub: run requested, jobs queued (and their check runs created), run in progress with its
first job, check run completed, job completed, check suite completed, run completed.
"""

from __future__ import annotations

from typing import Any

from sandbox.actions.expressions import ExpressionError, interpolate
from sandbox.actions.run_job import expression_context
from sandbox.actions.workflow import JobSpec
from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.serializers import runs as run_serializer
from sandbox.state.models import CheckRun, CheckSuite, WorkflowJob, WorkflowRun


def _emit_run(hub: Hub, run: WorkflowRun, action: str) -> None:
    hub.emit(
        run.repository,
        "workflow_run",
        action,
        sender=run.triggering_actor or run.actor,
        workflow_run=run_serializer.workflow_run(hub, run),
        workflow=run_serializer.workflow(hub, hub.workflow_index.workflows[run.workflow_id]),
    )


def _emit_job(hub: Hub, job: WorkflowJob, action: str) -> None:
    hub.emit(
        job.run.repository,
        "workflow_job",
        action,
        sender=job.run.triggering_actor or job.run.actor,
        workflow_job=run_serializer.workflow_job(hub, job),
    )


def _emit_check(hub: Hub, job: WorkflowJob, check: CheckRun, action: str) -> None:
    hub.emit(
        check.repository,
        "check_run",
        action,
        sender=job.run.triggering_actor or job.run.actor,
        check_run=issue_serializer.check_run(hub, check),
    )


def request_run(hub: Hub, run: WorkflowRun) -> None:
    """Mark a run (or its next attempt) as requested, with its own check suite as on GitHub."""
    now = hub.now()
    if run.check_suite is None:
        run.check_suite = CheckSuite(
            id=hub.new_id(),
            repository=run.repository,
            app=hub.actions_app,
            head_sha=run.head_sha,
            head_branch=run.head_branch,
            created_at=now,
            updated_at=now,
            after=run.head_sha,
        )
        run.repository.check_suites[run.check_suite.id] = run.check_suite
    run.check_suite.status, run.check_suite.conclusion = "queued", None
    run.check_suite.updated_at = now
    _emit_run(hub, run, "requested")


def queue_job(hub: Hub, run: WorkflowRun, spec: JobSpec) -> WorkflowJob:
    """Create a job that waits for a runner."""
    suite = _required_suite(run)
    now = hub.now()
    try:
        name = interpolate(spec.name, expression_context(hub, run, spec))
    except ExpressionError:
        name = spec.name
    check = CheckRun(id=hub.new_id(), suite=suite, name=name, started_at=now)
    job = WorkflowJob(id=check.id, run=run, attempt=run.attempt, name=name, check_run=check, created_at=now)
    check.details_url = f"{hub.url}/{run.repository.full_name}/actions/runs/{run.id}/job/{job.id}"
    suite.runs.append(check)
    run.jobs.append(job)
    _emit_check(hub, job, check, "created")
    _emit_job(hub, job, "queued")
    return job


def copy_job(hub: Hub, run: WorkflowRun, previous: WorkflowJob) -> WorkflowJob:
    """Copy a job that passed in an earlier attempt into a re-run of the failed ones."""
    return WorkflowJob(
        id=hub.new_id(),
        run=run,
        attempt=run.attempt,
        name=previous.name,
        check_run=previous.check_run,
        status=previous.status,
        conclusion=previous.conclusion,
        created_at=previous.created_at,
        started_at=previous.started_at,
        completed_at=previous.completed_at,
        steps=previous.steps,
        log=previous.log,
    )


def start_job(hub: Hub, job: WorkflowJob) -> None:
    """Mark a job as in progress; the first job does so for the run."""
    run, now = job.run, hub.now()
    suite = _required_suite(run)
    job.status, job.started_at = "in_progress", now
    if job.check_run is not None:
        job.check_run.status, job.check_run.started_at = "in_progress", now
    suite.status, suite.updated_at = "in_progress", now
    if run.status == "queued":
        run.status, run.updated_at = "in_progress", now
        _emit_run(hub, run, "in_progress")
    _emit_job(hub, job, "in_progress")


def complete_job(hub: Hub, job: WorkflowJob, conclusion: str) -> None:
    """Complete a job and its check run."""
    now = hub.now()
    job.status, job.conclusion, job.completed_at = "completed", conclusion, now
    job.started_at = job.started_at or now
    for step in job.steps:
        if step.status != "completed":
            step.status, step.conclusion, step.completed_at = "completed", conclusion, now
    if job.check_run is not None:
        check = job.check_run
        check.status, check.conclusion, check.completed_at = "completed", conclusion, now
        check.annotations = _annotations(job)
        _emit_check(hub, job, check, "completed")
    _emit_job(hub, job, "completed")


def complete_run(hub: Hub, run: WorkflowRun, conclusion: str) -> None:
    """Complete the check suite, then the run."""
    now = hub.now()
    suite = _required_suite(run)
    suite.status, suite.conclusion, suite.updated_at = "completed", conclusion, now
    run.status, run.conclusion, run.updated_at = "completed", conclusion, now
    hub.emit(
        run.repository,
        "check_suite",
        "completed",
        sender=run.triggering_actor or run.actor,
        check_suite=issue_serializer.check_suite(hub, suite, webhook=True),
    )
    _emit_run(hub, run, "completed")


def _required_suite(run: WorkflowRun) -> CheckSuite:
    if run.check_suite is None:
        raise ValueError(f"run {run.id} was never requested")
    return run.check_suite


def _annotations(job: WorkflowJob) -> list[dict[str, Any]]:
    """The annotations of a job: GitHub makes one of every `##[error]` line of the log."""
    lines = [line.split("##[error]", 1)[1] for line in job.log.splitlines() if "##[error]" in line]
    return [
        {
            "path": ".github",
            "start_line": number,
            "end_line": number,
            "start_column": None,
            "end_column": None,
            "annotation_level": "failure",
            "title": "",
            "message": line,
            "raw_details": "",
        }
        for number, line in enumerate(lines[:10], 1)
    ]
