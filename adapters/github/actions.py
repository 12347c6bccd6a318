"""Calls GitHub Actions: runs, jobs, logs, and dispatches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.github.base_client import BaseClient, parse, query_params, repository_parts
from adapters.github.models import Workflow, WorkflowDispatched, WorkflowJob, WorkflowRun
from adapters.github.operation import operation

_ACTIONS: Final = "/repos/{owner}/{repo}/actions"
_RUN: Final = _ACTIONS + "/runs/{run_id}"

LIST_RUNS: Final = operation(
    "actions/list-workflow-runs-for-repo",
    "GET",
    _ACTIONS + "/runs",
    permission=("actions", "read"),
    query="event per_page",
    items="workflow_runs",
)
GET_RUN: Final = operation("actions/get-workflow-run", "GET", _RUN, permission=("actions", "read"))
LIST_JOBS: Final = operation(
    "actions/list-jobs-for-workflow-run",
    "GET",
    _RUN + "/jobs",
    permission=("actions", "read"),
    query="filter per_page",
    items="jobs",
)
JOB_LOG: Final = operation(
    "actions/download-job-logs-for-workflow-run",
    "GET",
    _ACTIONS + "/jobs/{job_id}/logs",
    permission=("actions", "read"),
)
CANCEL: Final = operation("actions/cancel-workflow-run", "POST", _RUN + "/cancel", permission=("actions", "write"))
WORKFLOWS: Final = operation(
    "actions/list-repo-workflows",
    "GET",
    _ACTIONS + "/workflows",
    permission=("actions", "read"),
    query="per_page",
    items="workflows",
)
DISPATCH: Final = operation(
    "repos/create-dispatch-event",
    "POST",
    "/repos/{owner}/{repo}/dispatches",
    permission=("contents", "write"),
    body="event_type client_payload",
)
WORKFLOW_DISPATCH: Final = operation(
    "actions/create-workflow-dispatch",
    "POST",
    _ACTIONS + "/workflows/{workflow_id}/dispatches",
    permission=("actions", "write"),
    body="ref inputs",
)


class ActionsOperations(BaseClient):
    """Workflow runs of a repository."""

    async def list_workflow_runs(self, repo: str, *, event: str | None = None, limit: int = 100) -> list[WorkflowRun]:
        """List runs, newest first, at most `limit`."""
        query = query_params(event=event, per_page=max(1, min(limit, 100)))
        runs: list[WorkflowRun] = []
        async for run in self._iterate(LIST_RUNS, WorkflowRun, repository_parts(repo), query):
            if len(runs) >= limit:
                break
            runs.append(run)
        return runs

    async def get_workflow_run(self, repo: str, run_id: int) -> WorkflowRun:
        """Return a run as of its latest attempt."""
        return await self._request_one(GET_RUN, WorkflowRun, _run_params(repo, run_id))

    async def list_run_jobs(self, repo: str, run_id: int) -> list[WorkflowJob]:
        """List the jobs of a run's latest attempt, with their steps."""
        return await self._request_all(LIST_JOBS, WorkflowJob, _run_params(repo, run_id), query_params(filter="latest"))

    async def download_job_log(self, repo: str, job_id: int, max_bytes: int) -> str:
        """Return the end of a job's log, at most `max_bytes` bytes of it, beginning with a whole line.

        Raises NotFound while the log is not there yet, Gone when it has expired.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes must be positive")
        tail, is_truncated = await self._transport.download_tail(
            JOB_LOG, {**repository_parts(repo), "job_id": job_id}, self._credential, max_bytes
        )
        if is_truncated and b"\n" in tail[:-1]:
            tail = tail.split(b"\n", 1)[1]
        return tail.decode("utf-8", "replace")

    async def cancel_run(self, repo: str, run_id: int) -> None:
        """Ask GitHub to cancel a run; Conflict when it has already ended."""
        await self._execute(CANCEL, _run_params(repo, run_id))

    async def list_workflows(self, repo: str) -> list[Workflow]:
        """List the workflows that GitHub knows, disabled ones included."""
        return await self._request_all(WORKFLOWS, Workflow, repository_parts(repo))

    async def create_dispatch(
        self, repo: str, event_type: str, client_payload: Mapping[str, object] | None = None
    ) -> None:
        """Send a `repository_dispatch`: at most 10 keys and 64 KB of payload (Invalid above)."""
        body = {"event_type": event_type, "client_payload": dict(client_payload or {})}
        await self._execute(DISPATCH, repository_parts(repo), body=body)

    async def dispatch_workflow(
        self, repo: str, workflow: str | int, *, ref: str, inputs: Mapping[str, str] | None = None
    ) -> WorkflowDispatched | None:
        """Start a workflow (file name or id) on a branch or tag.

        Returns the run it started if the server reports it, else None: GitHub answered without a body for
        years and servers still do.
        """
        values = {**repository_parts(repo), "workflow_id": workflow}
        response = await self._transport.request(
            WORKFLOW_DISPATCH, values, self._credential, body={"ref": ref, "inputs": dict(inputs or {})}
        )
        if response.data is None:
            return None
        return parse(WORKFLOW_DISPATCH, WorkflowDispatched, response.data, response.status)


def _run_params(repo: str, run_id: int) -> dict[str, str | int]:
    return {**repository_parts(repo), "run_id": run_id}
