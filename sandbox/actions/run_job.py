"""Run one job: by a test's scripted result, by a scripted agent, or by the steps of the file."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.actions.expressions import ExpressionError, interpolate, text
from sandbox.actions.job_log import JobLog
from sandbox.actions.scripted_result import ScriptedResult
from sandbox.actions.steps import StepRunner
from sandbox.actions.workflow import JobSpec
from sandbox.git.command import run_git
from sandbox.hub import Hub
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import WorkflowJob, WorkflowRun, WorkflowStep

Outcome = tuple[str, dict[str, str]]


def dispatch_payload(run: WorkflowRun) -> dict[str, Any]:
    """The payload of a dispatch: `client_payload` or the inputs; empty for other events."""
    if run.event == "repository_dispatch":
        client_payload = run.payload.get("client_payload")
        return dict(client_payload) if isinstance(client_payload, Mapping) else {}
    return dict(run.inputs) if run.event == "workflow_dispatch" else {}


def expression_context(
    hub: Hub,
    run: WorkflowRun,
    spec: JobSpec | None = None,
    *,
    needs: Mapping[str, Any] | None = None,
    token: str = "",
) -> dict[str, Any]:
    """The contexts that expressions of a run can use."""
    repository, actor = run.repository, run.triggering_actor or run.actor
    pull = run.pulls[0] if run.event == "pull_request" and run.pulls else None
    github = {
        "action": "__run",
        "actor": run.actor.login,
        "actor_id": str(run.actor.id),
        "api_url": hub.url,
        "base_ref": pull.base_ref if pull else "",
        "event": run.payload,
        "event_name": run.event,
        "graphql_url": f"{hub.url}/graphql",
        "head_ref": pull.head_ref if pull else "",
        "job": spec.key if spec else "",
        "ref": run.ref,
        "ref_name": f"{pull.number}/merge" if pull else run.head_branch,
        "ref_type": "tag" if run.ref.startswith("refs/tags/") else "branch",
        "repository": repository.full_name,
        "repository_id": str(repository.id),
        "repository_owner": repository.owner.login,
        "repository_owner_id": str(repository.owner.id),
        "run_attempt": str(run.attempt),
        "run_id": str(run.id),
        "run_number": str(run.number),
        "server_url": hub.url,
        "sha": run.checkout_sha,
        "token": token,
        "triggering_actor": actor.login,
        "workflow": run.name,
        "workflow_ref": f"{repository.full_name}/{run.path}@{run.ref}",
        "workflow_sha": run.checkout_sha,
    }
    return {
        "github": github,
        "inputs": run.inputs,
        "secrets": {"GITHUB_TOKEN": token},
        "vars": {},
        "env": {},
        "needs": dict(needs or {}),
        "matrix": dict(spec.matrix) if spec else {},
        "strategy": {},
        "steps": {},
        "runner": {"os": "Linux", "arch": "X64", "name": "sandbox"},
        "job": {"status": "success"},
    }


async def run_job(
    hub: Hub,
    job: WorkflowJob,
    spec: JobSpec,
    *,
    needs: Mapping[str, Any],
    permissions: Mapping[str, str],
    env: Mapping[str, str],
) -> Outcome:
    """Run a job and return its conclusion and its outputs.

    `needs` is the context of that name, `permissions` are those of the job's token, and `env` holds the variables of
    the workflow and the job before their expressions are evaluated.
    """
    run, log = job.run, JobLog(hub.now)
    try:
        script = hub.ci_scripts.get(run.repository.id)
        if script is not None and run.event in ("push", "pull_request"):
            result = script(run)
            if inspect.isawaitable(result):
                result = await result
            if result is not None:
                return await _apply_scripted_result(hub, job, result, log), {}
        agent = hub.agents.get(str(dispatch_payload(run).get("agent", "")))
        if agent is not None:
            if job is not run.latest_jobs[0]:
                log.write("The scripted agent works in the first job of the run; this one is skipped.")
                return "skipped", {}
            return await agent.work(hub, job, log), {}
        return await _run_steps(hub, job, spec, log, needs, permissions, env)
    finally:
        job.log = log.text


async def _apply_scripted_result(hub: Hub, job: WorkflowJob, result: ScriptedResult, log: JobLog) -> str:
    """Write a test's conclusion as steps and a log."""
    now = hub.now()
    job.steps = [
        WorkflowStep(
            name="Set up job",
            number=1,
            status="completed",
            conclusion="success",
            started_at=now,
            completed_at=now,
        ),
        WorkflowStep(name=result.step, number=2, status="in_progress", started_at=now),
    ]
    if result.seconds:
        await hub.clock.sleep(result.seconds)
    names = [other.name for other in job.run.latest_jobs]
    chosen = result.job if result.job in names else names[0]
    conclusion = result.conclusion if job.name == chosen else "success"
    log.group(f"Run {result.step}")
    if result.log and job.name == chosen:
        log.write(result.log.rstrip("\n"))
    if conclusion == "failure":
        log.error("Process completed with exit code 1.")
    step = job.steps[1]
    step.status, step.conclusion, step.completed_at = "completed", conclusion, hub.now()
    return conclusion


async def _run_steps(
    hub: Hub,
    job: WorkflowJob,
    spec: JobSpec,
    log: JobLog,
    needs: Mapping[str, Any],
    permissions: Mapping[str, str],
    env: Mapping[str, str],
) -> Outcome:
    run = job.run
    if spec.reusable_workflow is not None:
        log.error(
            f"The sandbox does not run reusable workflows: {spec.reusable_workflow}. Write the job's `steps` instead."
        )
        return "failure", {}
    folder = hub.root / "jobs" / str(job.id)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "home").mkdir(parents=True)
    token = hub.create_run_token(run, permissions)
    context = expression_context(hub, run, spec, needs=needs, token=token)
    runner = StepRunner(
        spec=spec,
        folder=folder,
        log=log,
        context=context,
        env=_environment(folder, context),
        checkout=lambda target: checkout(hub, run, target, token),
        now=hub.now,
        on_change=lambda: None,
        steps=job.steps,
    )
    (folder / "event.json").write_text(json.dumps(_event_payload(hub, run)))
    try:
        runner.env = {
            **runner.env,
            **{key: interpolate(text(value), context) for key, value in env.items()},
        }
        return await runner.run(), runner.outputs
    except ExpressionError as error:
        log.error(str(error))
        return "failure", {}
    finally:
        runner.clean()


def _event_payload(hub: Hub, run: WorkflowRun) -> dict[str, Any]:
    """The content of $GITHUB_EVENT_PATH: the webhook's payload."""
    common = {
        "repository": issue_serializer.repository(hub, run.repository),
        "sender": issue_serializer.user(hub, run.triggering_actor or run.actor),
    }
    return {**common, **run.payload}


def _environment(folder: Path, context: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables of a job; of the machine's own only PATH."""
    github: Mapping[str, Any] = context["github"]
    names = [
        "actor",
        "actor_id",
        "api_url",
        "base_ref",
        "event_name",
        "graphql_url",
        "head_ref",
        "job",
        "ref",
        "ref_name",
        "ref_type",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "run_attempt",
        "run_id",
        "run_number",
        "server_url",
        "sha",
        "triggering_actor",
        "workflow",
        "workflow_ref",
        "workflow_sha",
    ]
    programs = [str(Path(sys.executable).parent), os.environ.get("PATH", "/usr/bin:/bin")]
    return {
        **{f"GITHUB_{name.upper()}": str(github[name]) for name in names},
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_WORKSPACE": str(folder / "work"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": str(folder / "home"),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join(programs),
        "RUNNER_ARCH": "X64",
        "RUNNER_NAME": "sandbox",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(folder / "home"),
    }


async def checkout(hub: Hub, run: WorkflowRun, target: Path, token: str) -> None:
    """Check out the run's commit; `origin` is the sandbox's address, with the run's token for pushes."""
    repository = run.repository
    await clone(hub, repository.git.path, repository.full_name, target, run.checkout_sha, token)


async def clone(hub: Hub, source: Path, full_name: str, target: Path, sha: str, token: str) -> None:
    """Clone from disk at a commit, as actions/checkout leaves it."""
    git = target / ".git"
    if not await asyncio.to_thread(git.exists):
        await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
        arguments = ["clone", "--quiet", "--shared", "--no-checkout", str(source), str(target)]
        await run_git(arguments, directory=target.parent)
        basic_auth = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        with (git / "config").open("a") as config:
            config.write(f'[http "{hub.url}/"]\n\textraheader = AUTHORIZATION: basic {basic_auth}\n')
        await run_git(["remote", "set-url", "origin", f"{hub.url}/{full_name}.git"], directory=target)
    await run_git(["checkout", "--quiet", "--force", "--detach", sha], directory=target)
