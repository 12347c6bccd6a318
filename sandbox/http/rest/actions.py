"""REST: workflow runs, their jobs and logs."""

from __future__ import annotations

import io
import zipfile

from sandbox.errors import ApiError, not_found
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import runs as run_serializer
from sandbox.state.models import WorkflowJob, WorkflowRun

RUNS = "/repos/{owner}/{repo}/actions/runs"
RUN = f"{RUNS}/{{run_id}}"
JOB = "/repos/{owner}/{repo}/actions/jobs/{job_id}"
READ, WRITE = "actions:read", "actions:write"


def _find_run(call: Call) -> WorkflowRun:
    run = call.repository.runs.get(call.number("run_id"))
    if run is None:
        raise not_found()
    return run


def _find_job(call: Call) -> WorkflowJob:
    job_id = call.number("job_id")
    for run in call.repository.runs.values():
        for job in run.jobs:
            if job.id == job_id:
                return job
    raise not_found()


def run_page(call: Call, runs: list[WorkflowRun]) -> Reply:
    """A page of runs, newest first, by the filters of the query."""
    query = call.query
    status = query.get("status")
    runs = [
        run
        for run in runs
        if status in (None, "", run.status, run.conclusion)
        and query.get("branch") in (None, "", run.head_branch)
        and query.get("event") in (None, "", run.event)
        and query.get("head_sha") in (None, "", run.head_sha)
        and query.get("actor") in (None, "", run.actor.login)
        and query.get("check_suite_id") in (None, "", str(run.check_suite.id if run.check_suite else 0))
    ]
    runs.sort(key=lambda run: run.id, reverse=True)
    return call.paginate(runs, lambda run: run_serializer.workflow_run(call.hub, run), key="workflow_runs")


@route("GET", RUNS, "actions/list-workflow-runs-for-repo", permission=READ)
async def list_runs(call: Call) -> Reply:
    """All runs of the repository."""
    return run_page(call, list(call.repository.runs.values()))


@route("GET", RUN, "actions/get-workflow-run", permission=READ)
async def get_run(call: Call) -> Reply:
    """One run."""
    return Reply(200, run_serializer.workflow_run(call.hub, _find_run(call)))


@route("DELETE", RUN, "actions/delete-workflow-run", permission=WRITE)
async def delete_run(call: Call) -> Reply:
    """Delete a completed run."""
    run = _find_run(call)
    if run.status != "completed":
        raise ApiError(403, "Cannot delete a workflow run that is not completed.")
    del call.repository.runs[run.id]
    return Reply(204)


@route("GET", f"{RUN}/jobs", "actions/list-jobs-for-workflow-run", permission=READ)
async def list_jobs(call: Call) -> Reply:
    """The jobs of the newest attempt, or of all."""
    run = _find_run(call)
    jobs = run.jobs if call.query.get("filter") == "all" else run.latest_jobs
    return call.paginate(jobs, lambda job: run_serializer.workflow_job(call.hub, job), key="jobs")


@route("GET", f"{RUN}/attempts/{{attempt_number}}", "actions/get-workflow-run-attempt", permission=READ)
async def get_attempt(call: Call) -> Reply:
    """One attempt of a run; an earlier one is shown as it ended."""
    run, number = _find_run(call), call.number("attempt_number")
    if not 1 <= number <= run.attempt:
        raise not_found()
    body = run_serializer.workflow_run(call.hub, run)
    if number < run.attempt:
        conclusions = {job.conclusion for job in run.jobs if job.attempt == number}
        failures = [conclusion for conclusion in ("cancelled", "timed_out", "failure") if conclusion in conclusions]
        body |= {"run_attempt": number, "status": "completed", "conclusion": failures[0] if failures else "success"}
    return Reply(200, body)


@route(
    "GET",
    f"{RUN}/attempts/{{attempt_number}}/jobs",
    "actions/list-jobs-for-workflow-run-attempt",
    permission=READ,
)
async def list_attempt_jobs(call: Call) -> Reply:
    """The jobs of one attempt."""
    run, number = _find_run(call), call.number("attempt_number")
    if not 1 <= number <= run.attempt:
        raise not_found()
    jobs = [job for job in run.jobs if job.attempt == number]
    return call.paginate(jobs, lambda job: run_serializer.workflow_job(call.hub, job), key="jobs")


@route("GET", JOB, "actions/get-job-for-workflow-run", permission=READ)
async def get_job(call: Call) -> Reply:
    """One job."""
    return Reply(200, run_serializer.workflow_job(call.hub, _find_job(call)))


# Logs: the API redirects to a signed address, valid for a minute, that needs no token.


def _log_redirect(call: Call, subject: str) -> Reply:
    ticket = call.hub.workflow_index.sign(subject)
    return Reply(302, None, {"Location": f"{call.hub.url}/_logs/{ticket}"})


@route("GET", f"{JOB}/logs", "actions/download-job-logs-for-workflow-run", permission=READ)
async def get_job_logs(call: Call) -> Reply:
    """302 to the job's log; 404 until there is one."""
    job = _find_job(call)
    if job.status == "queued" or not job.log:
        raise not_found()
    return _log_redirect(call, f"job {call.repository.id} {job.id}")


@route("GET", f"{RUN}/logs", "actions/download-workflow-run-logs", permission=READ)
async def get_run_logs(call: Call) -> Reply:
    """302 to a zip with one file for each job of the newest attempt."""
    run = _find_run(call)
    return _log_redirect(call, f"run {call.repository.id} {run.id} {run.attempt}")


@route(
    "GET",
    f"{RUN}/attempts/{{attempt_number}}/logs",
    "actions/download-workflow-run-attempt-logs",
    permission=READ,
)
async def get_attempt_logs(call: Call) -> Reply:
    """302 to a zip with one file for each job of that attempt."""
    return _log_redirect(call, f"run {call.repository.id} {_find_run(call).id} {call.number('attempt_number')}")


@route("DELETE", f"{RUN}/logs", "actions/delete-workflow-run-logs", permission=WRITE)
async def delete_logs(call: Call) -> Reply:
    """Delete the logs of a run."""
    for job in _find_run(call).jobs:
        job.log = ""
    return Reply(204)


@route("GET", "/_logs/{ticket}", "")
async def read_log(call: Call) -> Reply:
    """The log of a signed address: plain text for a job, a zip for a run."""
    subject = call.hub.workflow_index.signed(call.params["ticket"])
    if subject is None:
        raise not_found()
    kind, *id_texts = subject.split()
    ids = [int(number) for number in id_texts]
    repository = call.hub.repositories[ids[0]]
    jobs = [job for run in repository.runs.values() for job in run.jobs]
    if kind == "job":
        return Reply(200, next(job.log for job in jobs if job.id == ids[1]))
    zip_buffer = io.BytesIO()
    with zipfile.ZipFile(zip_buffer, "w") as archive:
        attempt_jobs = [job for job in jobs if (job.run.id, job.attempt) == (ids[1], ids[2])]
        for number, job in enumerate(attempt_jobs):
            archive.writestr(f"{number}_{job.name.replace('/', '_')}.txt", job.log)
    return Reply(200, zip_buffer.getvalue(), {"Content-Type": "application/zip"})


# Cancel and rerun


@route("POST", f"{RUN}/cancel", "actions/cancel-workflow-run", permission=WRITE)
async def cancel_run(call: Call) -> Reply:
    """Cancel a run; 409 when it has completed."""
    if not call.hub.actions.cancel(_find_run(call)):
        raise ApiError(409, "Cannot cancel a workflow run that is completed.")
    return Reply(202, {})


async def _rerun_run(call: Call, *, failed_only: bool) -> Reply:
    if not await call.hub.actions.rerun(_find_run(call), call.actor, failed_only=failed_only):
        raise ApiError(403, "This workflow is already running")
    return Reply(201, {})


@route("POST", f"{RUN}/rerun", "actions/re-run-workflow", permission=WRITE)
async def rerun_run(call: Call) -> Reply:
    """Run all jobs again."""
    return await _rerun_run(call, failed_only=False)


@route("POST", f"{RUN}/rerun-failed-jobs", "actions/re-run-workflow-failed-jobs", permission=WRITE)
async def rerun_failed_jobs(call: Call) -> Reply:
    """Run the failed jobs again."""
    return await _rerun_run(call, failed_only=True)


@route("GET", f"{RUN}/artifacts", "actions/list-workflow-run-artifacts", permission=READ)
async def list_artifacts(call: Call) -> Reply:
    """An empty list: the sandbox has no artifacts."""
    _find_run(call)
    return Reply(200, {"total_count": 0, "artifacts": []})
