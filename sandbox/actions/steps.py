"""Run the steps of one job: bash in a checkout, with GitHub's files and variables."""

import asyncio
import functools
import itertools
import operator
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.actions.composite import run_composite
from sandbox.actions.expressions import ExpressionError, condition, interpolate, text
from sandbox.actions.job_log import JobLog
from sandbox.actions.workflow import JobSpec, StepSpec
from sandbox.state.models import WorkflowStep

MAX_STEP_SECONDS = 300.0  # seconds of real time for one step, so that a job that hangs does not hang the sandbox
_BASH = ["bash", "--noprofile", "--norc", "-e"]


@dataclass(slots=True)
class StepRunner:
    """Runs the steps of a job in order and returns its conclusion."""

    spec: JobSpec
    folder: Path
    log: JobLog
    context: dict[str, Any]
    env: Mapping[str, str]
    checkout: Callable[[Path], Awaitable[None]]
    now: Callable[[], datetime]
    on_change: Callable[[], None]
    steps: list[WorkflowStep] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    _extra_env: dict[str, str] = field(default_factory=dict)
    _paths: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        """The folder that steps run in."""
        return self.folder / "work"

    async def run(self) -> str:
        """Run all steps and return the job's conclusion ("success" or "failure")."""
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.context["job"] = {"status": "success"}
        self.context["steps"] = {}
        self.context["env"] = dict(self.env)
        await self._set_up()
        for number, spec in enumerate(self.spec.steps, 2):
            step = WorkflowStep(name=self._step_name(spec), number=number)
            self.steps.append(step)
            await self._run_step(spec, step)
        self.outputs = {name: self.expand(text(value)) for name, value in self.spec.outputs.items()}
        final_step = _completed_step("Complete job", len(self.steps) + 1, self.now())
        self.steps.append(final_step)
        return str(self.context["job"]["status"])

    async def _set_up(self) -> None:
        step = _completed_step("Set up job", 1, self.now())
        self.steps.append(step)
        self.log.write("Current runner version: 'sandbox'")
        for feature in self.spec.unsupported:
            self.log.write(f"##[warning]The sandbox does not support `{feature}` and goes on without it.")

    def expand(self, source: str) -> str:
        """A text with its `${{ … }}` replaced. Raises ExpressionError."""
        return interpolate(source, self.context)

    def _step_name(self, spec: StepSpec) -> str:
        try:
            return self.expand(spec.name)
        except ExpressionError:
            return spec.name

    async def _run_step(self, spec: StepSpec, step: WorkflowStep) -> None:
        step.started_at, step.status = self.now(), "in_progress"
        try:
            if condition(spec.condition, self.context):
                self.on_change()
                step.conclusion = "success" if await self.execute(spec) else "failure"
            else:
                step.conclusion = "skipped"
        except ExpressionError as error:
            self.log.error(str(error))
            step.conclusion = "failure"
        step.status, step.completed_at = "completed", self.now()
        outcome = step.conclusion
        if outcome == "failure" and spec.continue_on_error:
            step.conclusion = "success"
        elif outcome == "failure":
            self.context["job"]["status"] = "failure"
        outputs = self.context["steps"].get(spec.identifier, {"outputs": {}})
        if spec.identifier:
            self.context["steps"][spec.identifier] = {
                **outputs,
                "outcome": outcome,
                "conclusion": step.conclusion,
            }
        self.on_change()

    async def execute(self, spec: StepSpec) -> bool:
        """Run one step regardless of its condition and return whether it succeeded."""
        if spec.uses is not None:
            return await self._run_action(spec, spec.uses)
        script = self.expand(spec.run or "")
        env = {key: self.expand(text(value)) for key, value in spec.env.items()}
        shell = spec.shell or self.spec.shell or "bash"
        if shell not in ("bash", "sh"):
            self.log.error(f"The sandbox runs bash and sh, not `{shell}`. Set `shell: bash` for this step.")
            return False
        script_lines = [f"\x1b[36;1m{line}\x1b[0m" for line in script.rstrip("\n").split("\n")]
        self.log.group(
            f"Run {script.strip().splitlines()[0] if script.strip() else ''}",
            *script_lines,
            "shell: /usr/bin/bash -e {0}" if shell == "bash" else "shell: /usr/bin/sh -e {0}",
            *(["env:", *(f"  {key}: {value}" for key, value in env.items())] if env else []),
        )
        directory = self.workspace / self.expand(text(spec.directory or self.spec.directory or "."))
        if not directory.is_dir():
            self.log.error(f"The working directory {spec.directory or self.spec.directory} does not exist.")
            return False
        timeout_seconds = (
            MAX_STEP_SECONDS if spec.timeout_minutes is None else min(MAX_STEP_SECONDS, spec.timeout_minutes * 60)
        )
        status = await self._run_script(
            script, env, directory, timeout_seconds, spec.identifier, pipefail=spec.shell == "bash"
        )
        if status is None:
            self.log.error(f"The step was stopped after {timeout_seconds:.0f} seconds.")
            return False
        if status != 0:
            self.log.error(f"Process completed with exit code {status}.")
        return status == 0

    async def _run_action(self, spec: StepSpec, uses: str) -> bool:
        name = uses.split("@", 1)[0]
        self.log.group(f"Run {uses}", *(f"  {key}: {value}" for key, value in spec.inputs.items()))
        if name == "actions/checkout":
            target = self.workspace / self.expand(text(spec.inputs.get("path", ".")))
            await self.checkout(target)
            self.log.write(f"HEAD is now at {self.context['github'].get('sha', '')}")
        elif uses.startswith("./"):
            return await run_composite(self, spec, self.workspace / uses)
        else:
            self.log.write(f"##[warning]The action {uses} is not available in the sandbox; the step does nothing.")
        return True

    async def _run_script(
        self,
        script: str,
        env: Mapping[str, str],
        directory: Path,
        timeout_seconds: float,
        identifier: str,
        *,
        pipefail: bool,
    ) -> int | None:
        """Run a script in its own process group and return its status, or None after the time limit."""
        files = {
            name: self.folder / name.lower()
            for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        }
        for file in files.values():
            file.write_text("")
        path = os.pathsep.join([*reversed(self._paths), os.environ.get("PATH", "/usr/bin:/bin")])
        process = await asyncio.create_subprocess_exec(
            *_BASH,
            *(["-o", "pipefail"] if pipefail else []),
            "-c",
            script,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=1 << 20,
            env={**self.env, **self._extra_env, **env, **{k: str(v) for k, v in files.items()}, "PATH": path},
        )
        assert process.stdout is not None  # noqa: S101 -- asked for with PIPE above
        try:
            async with asyncio.timeout(timeout_seconds):
                async for line in process.stdout:
                    self.log.write(line.decode(errors="replace").rstrip("\r\n"))
                status = await process.wait()
        except TimeoutError:
            return None
        except ValueError as error:  # one line longer than asyncio's buffer
            self.log.error(f"The output cannot be logged: {error}")
            return 1
        finally:
            _kill_process_group(process)
            await process.wait()
        self._extra_env.update(_parse_assignments(files["GITHUB_ENV"].read_text(errors="replace")))
        self._paths.extend(files["GITHUB_PATH"].read_text(errors="replace").split("\n")[:-1])
        self.context["env"].update(self._extra_env)
        if identifier:
            outputs = _parse_assignments(files["GITHUB_OUTPUT"].read_text(errors="replace"))
            self.context["steps"][identifier] = {"outputs": outputs}
        return status

    def clean(self) -> None:
        """Remove the job's folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _completed_step(name: str, number: int, when: datetime) -> WorkflowStep:
    """A step of the runner itself, without duration."""
    return WorkflowStep(
        name=name, number=number, status="completed", conclusion="success", started_at=when, completed_at=when
    )


def _kill_process_group(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of a step, including its children, which would outlive the test."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _parse_assignments(source: str) -> dict[str, str]:
    """`name=value` lines and `name<<END … END` blocks, as steps write them into $GITHUB_OUTPUT."""
    values: dict[str, str] = {}
    lines = iter(source.split("\n"))
    for line in lines:
        name, separator, value = line.partition("=")
        block, block_separator, end = line.partition("<<")
        if block_separator and (not separator or len(block) < len(name)):
            values[block] = "\n".join(itertools.takewhile(functools.partial(operator.ne, end), lines))
        elif separator:
            values[name] = value
    return values
