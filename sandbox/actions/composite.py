"""Composite actions that live in the repository itself: `uses: ./.github/actions/setup`."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any, Protocol

import yaml

from sandbox.actions.expressions import condition, text
from sandbox.actions.job_log import JobLog
from sandbox.actions.workflow import StepSpec, WorkflowError, parse_step


class Runner(Protocol):
    """The step runner of a job, as far as a composite action uses it."""

    context: dict[str, Any]
    log: JobLog

    def expand(self, source: str) -> str:
        """Replace every `${{ … }}` of a text."""
        ...

    async def execute(self, spec: StepSpec) -> bool:
        """Run one step and return whether it succeeded."""
        ...


def _read_action(folder: Path) -> dict[str, Any]:
    """Read the action's description. Raises WorkflowError when there is none that can be run here."""
    for name in ("action.yml", "action.yaml"):
        if (folder / name).is_file():
            try:
                action = yaml.safe_load((folder / name).read_text())
            except yaml.YAMLError as error:
                raise WorkflowError(f"{name} cannot be read: {error}") from error
            if not isinstance(action, dict) or not isinstance(action.get("runs"), dict):
                raise WorkflowError(f"{name} has no `runs:`")
            if action["runs"].get("using") != "composite":
                raise WorkflowError("the sandbox runs composite actions only")
            return action
    raise WorkflowError("there is no action.yml; check the repository out first")


async def run_composite(runner: Runner, spec: StepSpec, folder: Path) -> bool:
    """Run the steps of a composite action and return whether it succeeded.

    They see their own `inputs` and `steps`; the action's outputs become those of the step that uses it.
    """
    try:
        action = await asyncio.to_thread(_read_action, folder)
        steps = [
            parse_step(str(spec.uses), number, step) for number, step in enumerate(action["runs"].get("steps") or [], 1)
        ]
    except WorkflowError as error:
        runner.log.error(f"{spec.uses}: {error}")
        return False
    declared: dict[str, Any] = action.get("inputs") or {}
    inputs = {
        name: runner.expand(text(spec.inputs.get(name, (options or {}).get("default"))))
        for name, options in declared.items()
    }
    outer_context = runner.context
    github = {**outer_context["github"], "action_path": str(folder)}
    runner.context = {**outer_context, "inputs": inputs, "github": github, "steps": {}, "job": {"status": "success"}}
    try:
        for step in steps:
            if not condition(step.condition, runner.context):
                continue
            inner_step = dataclasses.replace(step, env={"GITHUB_ACTION_PATH": str(folder), **spec.env, **step.env})
            if not await runner.execute(inner_step) and not step.continue_on_error:
                runner.context["job"]["status"] = "failure"
        outputs = {
            name: runner.expand(text((options or {}).get("value")))
            for name, options in (action.get("outputs") or {}).items()
        }
        succeeded = bool(runner.context["job"]["status"] == "success")
    finally:
        runner.context = outer_context
    if spec.identifier:
        outer_context["steps"][spec.identifier] = {"outputs": outputs}
    return succeeded
