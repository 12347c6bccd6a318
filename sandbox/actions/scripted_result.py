"""The scripted result of a run, for tests that run no steps (`hub.set_ci_script`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sandbox.state.models import WorkflowRun


@dataclass(frozen=True, slots=True)
class ScriptedResult:
    """The outcome of a run's first job (or of the one named), after `seconds` of the sandbox's clock."""

    conclusion: str
    step: str = "tests"
    log: str = ""
    job: str | None = None
    seconds: float = 0

    @classmethod
    def success(cls, *, seconds: float = 0) -> ScriptedResult:
        """All jobs pass."""
        return cls("success", seconds=seconds)

    @classmethod
    def failure(
        cls, *, step: str = "tests", log: str = "", job: str | None = None, seconds: float = 0
    ) -> ScriptedResult:
        """One job fails at `step`, with `log` as the step's output."""
        return cls("failure", step=step, log=log, job=job, seconds=seconds)

    @classmethod
    def cancelled(cls) -> ScriptedResult:
        """A person cancelled it."""
        return cls("cancelled")

    @classmethod
    def timed_out(cls, *, step: str = "tests", log: str = "", seconds: float = 0) -> ScriptedResult:
        """It took longer than allowed."""
        return cls("timed_out", step=step, log=log, seconds=seconds)


CiScript = Callable[[WorkflowRun], ScriptedResult | Awaitable[ScriptedResult | None] | None]
"""Decides a run's conclusion; None means: run the steps for real."""
