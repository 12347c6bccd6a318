"""Start workflows on request: `workflow_dispatch` and `repository_dispatch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.actions import triggers
from sandbox.errors import ApiError
from sandbox.hub import Hub
from sandbox.state.models import Repository, User, WorkflowRun
from sandbox.state.workflows import Workflow

MAX_INPUT_TEXT = 65_535  # characters


def _validate_inputs(declared: Mapping[str, Mapping[str, Any]], supplied: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with their defaults. Raises ApiError 422 for unknown, missing or invalid ones."""
    unknown = sorted(supplied.keys() - declared.keys())
    if unknown:
        raise ApiError(422, f"Unexpected inputs provided: {unknown}")
    if sum(len(str(value)) for value in supplied.values()) > MAX_INPUT_TEXT:
        raise ApiError(422, f"inputs are too large: at most {MAX_INPUT_TEXT} characters together")
    checked: dict[str, Any] = {}
    for name, options in declared.items():
        value = supplied.get(name, options.get("default"))
        if value in (None, "") and options.get("required") is True:
            raise ApiError(422, f"Required input '{name}' not provided")
        if options.get("type") == "choice" and value not in (None, "", *options.get("options", [])):
            raise ApiError(422, f"Provided value '{value}' for input '{name}' not in the list of allowed values")
        if options.get("type") == "boolean":
            value = str(value).lower() == "true"
        checked[name] = "" if value is None else value
    return checked


async def workflow_dispatch(
    hub: Hub,
    validated_inputs: Repository,
    actor: User,
    workflow: Workflow,
    *,
    ref: str,
    inputs: Mapping[str, Any],
) -> WorkflowRun:
    """Start a workflow by hand. Raises ApiError 422: bad ref, workflow without the trigger, bad inputs."""
    ref_names = (f"refs/heads/{ref}", f"refs/tags/{ref}", ref)
    full_ref = next((name for name in ref_names if validated_inputs.git.ref(name) is not None), "")
    sha = validated_inputs.git.ref(full_ref)
    if sha is None:
        raise ApiError(422, f"No ref found for: {ref}")
    file = next(
        (
            candidate
            for candidate in await hub.workflow_index.files(validated_inputs, sha)
            if candidate.path == workflow.path
        ),
        None,
    )
    if file is None or "workflow_dispatch" not in file.triggers:
        raise ApiError(422, "Workflow does not have 'workflow_dispatch' trigger")
    if workflow.state != "active":
        raise ApiError(422, "Cannot trigger a 'workflow_dispatch' on a disabled workflow")
    checked_inputs = _validate_inputs(file.inputs, inputs)
    hub.emit(
        validated_inputs,
        "workflow_dispatch",
        None,
        sender=actor,
        inputs=dict(inputs),
        ref=full_ref,
        workflow=workflow.path,
    )
    return await hub.actions.start(
        validated_inputs,
        file,
        event="workflow_dispatch",
        actor=actor,
        sha=sha,
        ref=full_ref,
        title=file.name,
        payload={"inputs": dict(inputs), "ref": full_ref, "workflow": workflow.path},
        inputs=checked_inputs,
    )


async def repository_dispatch(
    hub: Hub, repository: Repository, actor: User, event_type: str, client_payload: Mapping[str, Any]
) -> list[WorkflowRun]:
    """Send a custom event to the Apps and start the default branch's workflows that listen for it."""
    payload = {"action": event_type, "branch": repository.default_branch, "client_payload": dict(client_payload)}
    fields = {key: value for key, value in payload.items() if key != "action"}
    hub.emit(repository, "repository_dispatch", event_type, sender=actor, **fields)
    return await triggers.on_dispatch(hub, repository, event_type, actor, payload)
