"""Workflow files: `.github/workflows/*.yml` as values.

A file that GitHub would refuse is read as a WorkflowFile with `error` set. Its run fails at once with that
message, as on GitHub ("Invalid workflow file").
"""

import fnmatch
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

FOLDER = ".github/workflows"
PERMISSIONS = ("actions", "checks", "contents", "issues", "pull_requests", "statuses")
PULL_REQUEST_DEFAULT = ("opened", "synchronize", "reopened")


class WorkflowError(Exception):
    """A workflow file that cannot be used; the text says what to change."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step as written."""

    name: str
    run: str | None = None
    uses: str | None = None
    identifier: str = ""
    condition: str | bool | None = None
    env: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    shell: str | None = None
    directory: str | None = None
    continue_on_error: bool = False
    timeout_minutes: float | None = None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job as written; `matrix` are the values of this member of a matrix, `calls` a reusable workflow."""

    key: str
    name: str
    steps: tuple[StepSpec, ...]
    needs: tuple[str, ...] = ()
    condition: str | bool | None = None
    env: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ("ubuntu-latest",)
    timeout_minutes: float = 360
    outputs: Mapping[str, Any] = field(default_factory=dict)
    shell: str | None = None
    directory: str | None = None
    matrix: Mapping[str, Any] = field(default_factory=dict)
    permissions: Mapping[str, str] | None = None
    unsupported: tuple[str, ...] = ()
    reusable_workflow: str | None = None


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """One workflow file of one commit."""

    path: str
    name: str
    triggers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    run_name: str | None = None
    env: Mapping[str, Any] = field(default_factory=dict)
    permissions: Mapping[str, str] | None = None
    jobs: tuple[JobSpec, ...] = ()
    error: str | None = None

    def matches_event(
        self, event: str, *, action: str | None = None, branch: str | None = None, paths: tuple[str, ...] = ()
    ) -> bool:
        """Whether an event starts this workflow: its name, activity type, branch and path filters."""
        if event not in self.triggers:
            return False
        options = self.triggers[event]
        if event == "pull_request":
            if action not in _as_list(options.get("types", PULL_REQUEST_DEFAULT)):
                return False
        elif event == "repository_dispatch" and "types" in options and action not in _as_list(options["types"]):
            return False
        if event == "push" and branch is None:  # a tag
            return "tags" in options or not options.keys() & {"branches", "branches-ignore"}
        if event == "push" and "tags" in options and not options.keys() & {"branches", "branches-ignore"}:
            return False
        return _passes_filter(options, "branches", (branch,) if branch else ()) and _passes_filter(
            options, "paths", paths
        )

    @property
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        """The inputs of `workflow_dispatch`, by name."""
        declared = self.triggers.get("workflow_dispatch", {}).get("inputs") or {}
        return {str(name): options or {} for name, options in declared.items()}


def _as_list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _matches(name: str, patterns: list[str]) -> bool:
    is_match = False
    for pattern in patterns:
        if fnmatch.fnmatchcase(name, pattern.removeprefix("!").replace("**", "*")):
            is_match = not pattern.startswith("!")
    return is_match


def _passes_filter(options: Mapping[str, Any], key: str, names: tuple[str, ...]) -> bool:
    """A `branches` or `paths` filter: at least one name chosen, or not all of them ignored."""
    if key in options and names:
        return any(_matches(name, _as_list(options[key])) for name in names)
    if f"{key}-ignore" in options and names:
        return not all(_matches(name, _as_list(options[f"{key}-ignore"])) for name in names)
    return True


def parse_workflow(path: str, source: str) -> WorkflowFile:
    """Read one workflow file; mistakes are recorded in `error`, never raised."""
    try:
        document = yaml.safe_load(source)
    except yaml.YAMLError as error:
        return WorkflowFile(path, path, error=f"Invalid workflow file: {error}")
    if not isinstance(document, dict):
        return WorkflowFile(path, path, error="Invalid workflow file: it is not a mapping")
    # In YAML 1.1 the bare word `on` is the boolean true.
    on = document.get("on", document.get(True))
    name = str(document.get("name") or path)
    triggers: dict[str, Mapping[str, Any]] = {}
    try:
        triggers = _parse_triggers(on)
        return WorkflowFile(
            path=path,
            name=name,
            triggers=triggers,
            run_name=None if document.get("run-name") is None else str(document["run-name"]),
            env=_mapping(document.get("env"), "env"),
            permissions=_parse_permissions(document.get("permissions")),
            jobs=tuple(_parse_jobs(document)),
        )
    except WorkflowError as error:
        return WorkflowFile(path, name, triggers=triggers, error=f"Invalid workflow file: {error}")


def _mapping(value: Any, location: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WorkflowError(f"`{location}` must be a mapping")
    return {str(key): item for key, item in value.items()}


def _parse_permissions(value: Any) -> Mapping[str, str] | None:
    """`permissions:` as the API names them; None when the file says nothing."""
    if value is None:
        return None
    if value in ("read-all", "write-all"):
        return dict.fromkeys(PERMISSIONS, value.removesuffix("-all"))
    return {name.replace("-", "_"): str(level) for name, level in _mapping(value, "permissions").items()}


def _parse_triggers(on: Any) -> dict[str, Mapping[str, Any]]:
    if isinstance(on, str):
        return {on: {}}
    if isinstance(on, list):
        return {str(event): {} for event in on}
    if isinstance(on, dict):
        return {str(event): options if isinstance(options, dict) else {} for event, options in on.items()}
    raise WorkflowError("it has no `on:`; say which events start it")


def _parse_jobs(document: Mapping[Any, Any]) -> Iterator[JobSpec]:
    defaults = _mapping(_mapping(document.get("defaults"), "defaults").get("run"), "defaults.run")
    jobs = _mapping(document.get("jobs"), "jobs")
    if not jobs:
        raise WorkflowError("it has no `jobs:`")
    for key, body in jobs.items():
        job = _mapping(body, f"jobs.{key}")
        needs = tuple(_as_list(job["needs"])) if job.get("needs") else ()
        for need in needs:
            if need not in jobs:
                raise WorkflowError(f"job `{key}` needs `{need}`, which is not in the file")
        yield from _expand_matrix(key, job, needs, defaults)


def _expand_matrix(
    key: str, job: Mapping[str, Any], needs: tuple[str, ...], defaults: Mapping[str, Any]
) -> Iterator[JobSpec]:
    reusable_workflow = job.get("uses")
    steps = [] if reusable_workflow is not None else job.get("steps")
    if not isinstance(steps, list) or not (steps or reusable_workflow):
        raise WorkflowError(f"job `{key}` has no `steps:`")
    if "runs-on" not in job and reusable_workflow is None:
        raise WorkflowError(f"job `{key}` has no `runs-on:`")
    run = {**defaults, **_mapping(_mapping(job.get("defaults"), "defaults").get("run"), "defaults.run")}
    matrix = _mapping(_mapping(job.get("strategy"), "strategy").get("matrix"), "matrix")
    axes = {
        axis: values
        for axis, values in matrix.items()
        if isinstance(values, list) and axis not in ("include", "exclude")
    }
    unsupported_keys = ("services", "container", "environment", "concurrency")
    unsupported = [unsupported_key for unsupported_key in unsupported_keys if unsupported_key in job]
    unsupported += [
        f"strategy.matrix.{unsupported_key}" for unsupported_key in ("include", "exclude") if unsupported_key in matrix
    ]
    for values in itertools.product(*axes.values()):
        member = dict(zip(axes, values, strict=True))
        name = str(job.get("name") or key)
        if member and not job.get("name"):
            name = f"{key} ({', '.join(map(str, values))})"
        yield JobSpec(
            key=key,
            name=name,
            steps=tuple(parse_step(key, number, step) for number, step in enumerate(steps, 1)),
            needs=needs,
            condition=job.get("if"),
            env=_mapping(job.get("env"), f"jobs.{key}.env"),
            labels=tuple(_as_list(job.get("runs-on", "ubuntu-latest"))),
            reusable_workflow=None if reusable_workflow is None else str(reusable_workflow),
            timeout_minutes=float(job.get("timeout-minutes", 360)),
            outputs=_mapping(job.get("outputs"), f"jobs.{key}.outputs"),
            shell=run.get("shell"),
            directory=run.get("working-directory"),
            matrix=member,
            permissions=_parse_permissions(job.get("permissions")),
            unsupported=tuple(unsupported),
        )


def parse_step(job: str, number: int, body: Any) -> StepSpec:
    """One step of a job or of a composite action. Raises WorkflowError."""
    step = _mapping(body, f"step {number} of job {job}")
    run, uses = step.get("run"), step.get("uses")
    if (run is None) == (uses is None):
        raise WorkflowError(f"step {number} of job `{job}` needs either `run` or `uses`")
    first_line = str(run).strip().split("\n")[0] if run is not None else str(uses)
    return StepSpec(
        name=str(step.get("name") or f"Run {first_line}"),
        run=None if run is None else str(run),
        uses=None if uses is None else str(uses),
        identifier=str(step.get("id") or ""),
        condition=step.get("if"),
        env=_mapping(step.get("env"), "env"),
        inputs=_mapping(step.get("with"), "with"),
        shell=step.get("shell"),
        directory=step.get("working-directory"),
        continue_on_error=step.get("continue-on-error") is True,
        timeout_minutes=step.get("timeout-minutes"),
    )
