"""REST: workflows and dispatches."""

from __future__ import annotations

import json
from typing import Any

from sandbox.actions.dispatch import repository_dispatch, workflow_dispatch
from sandbox.errors import ApiError, invalid_request, not_found
from sandbox.http.rest.actions import run_page
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import runs as run_serializer
from sandbox.state.workflows import Workflow

WORKFLOWS = "/repos/{owner}/{repo}/actions/workflows"
WORKFLOW = f"{WORKFLOWS}/{{workflow_id}}"
READ, WRITE = "actions:read", "actions:write"
MAX_KEYS, MAX_PAYLOAD = 10, 65_536  # of client_payload: top-level keys, bytes of JSON


async def _find_workflow(call: Call) -> Workflow:
    """By id or by file name."""
    name_or_id = call.params["workflow_id"]
    for workflow in await call.hub.workflow_index.register(call.repository):
        if name_or_id in (str(workflow.id), workflow.path, workflow.path.rsplit("/", 1)[-1]):
            return workflow
    raise not_found()


@route("GET", WORKFLOWS, "actions/list-repo-workflows", permission=READ)
async def list_workflows(call: Call) -> Reply:
    """The workflows of the repository."""
    workflows = await call.hub.workflow_index.register(call.repository)
    return call.paginate(workflows, lambda workflow: run_serializer.workflow(call.hub, workflow), key="workflows")


@route("GET", WORKFLOW, "actions/get-workflow", permission=READ)
async def get_workflow(call: Call) -> Reply:
    """One workflow."""
    return Reply(200, run_serializer.workflow(call.hub, await _find_workflow(call)))


@route("GET", f"{WORKFLOW}/runs", "actions/list-workflow-runs", permission=READ)
async def list_runs(call: Call) -> Reply:
    """The runs of one workflow."""
    workflow = await _find_workflow(call)
    return run_page(call, [run for run in call.repository.runs.values() if run.workflow_id == workflow.id])


@route("PUT", f"{WORKFLOW}/disable", "actions/disable-workflow", permission=WRITE)
async def disable_workflow(call: Call) -> Reply:
    """Disable a workflow."""
    (await _find_workflow(call)).state = "disabled_manually"
    return Reply(204)


@route("PUT", f"{WORKFLOW}/enable", "actions/enable-workflow", permission=WRITE)
async def enable_workflow(call: Call) -> Reply:
    """Enable a workflow."""
    (await _find_workflow(call)).state = "active"
    return Reply(204)


@route("POST", f"{WORKFLOW}/dispatches", "actions/create-workflow-dispatch", permission=WRITE)
async def dispatch_workflow(call: Call) -> Reply:
    """`workflow_dispatch`; with `return_run_details` the response names the run."""
    workflow = await _find_workflow(call)
    inputs: dict[str, Any] = call.field("inputs", dict) or {}
    run = await workflow_dispatch(
        call.hub, call.repository, call.actor, workflow, ref=call.required("ref", str), inputs=inputs
    )
    if not call.field("return_run_details", bool, default=False):
        return Reply(204)
    run_body = run_serializer.workflow_run(call.hub, run)
    body = {"workflow_run_id": run.id, "run_url": run_body["url"], "html_url": run_body["html_url"]}
    return Reply(200, body)


@route("POST", "/repos/{owner}/{repo}/dispatches", "repos/create-dispatch-event", permission="contents:write")
async def dispatch_repository(call: Call) -> Reply:
    """`repository_dispatch`: 204 whether or not a workflow listens, as on GitHub."""
    event_type = call.required("event_type", str)
    payload: dict[str, Any] = call.field("client_payload", dict) or {}
    if not event_type.strip() or len(event_type) > 100:
        raise invalid_request("For 'properties/event_type', it has 1 to 100 characters.")
    if len(payload) > MAX_KEYS:
        raise ApiError(422, f"No more than {MAX_KEYS} properties are allowed; {len(payload)} were supplied.")
    if len(json.dumps(payload).encode()) >= MAX_PAYLOAD:
        raise ApiError(422, "client_payload is too large: it must be less than 64 KB.")
    await repository_dispatch(call.hub, call.repository, call.actor, event_type, payload)
    return Reply(204)
