"""Checks, statuses, workflow runs and jobs."""

from __future__ import annotations

from pydantic import AwareDatetime

from adapters.github.models.base import GitHubModel, User


class AppRef(GitHubModel):
    """The App that made a check."""

    id: int
    slug: str | None = None
    name: str = ""


class PullRef(GitHubModel):
    """A pull request as a check names it (never for pushes from forks)."""

    id: int
    number: int


class CheckSuiteRef(GitHubModel):
    """The suite a check run belongs to."""

    id: int


class CheckOutput(GitHubModel):
    """What a check run says."""

    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations_count: int = 0


class CheckRun(GitHubModel):
    """A check run on one commit."""

    id: int
    name: str
    head_sha: str
    status: str
    conclusion: str | None = None
    external_id: str | None = None
    html_url: str | None = None
    details_url: str | None = None
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    output: CheckOutput = CheckOutput()
    app: AppRef | None = None
    check_suite: CheckSuiteRef | None = None
    pull_requests: tuple[PullRef, ...] = ()


class CheckSuite(GitHubModel):
    """A check suite: all runs of one App on one commit."""

    id: int
    head_branch: str | None = None
    head_sha: str
    status: str | None = None
    conclusion: str | None = None
    app: AppRef | None = None
    latest_check_runs_count: int = 0
    pull_requests: tuple[PullRef, ...] = ()
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None


class CommitStatus(GitHubModel):
    """A status of the older kind: success, pending, failure or error for one context."""

    context: str
    state: str
    description: str | None = None
    target_url: str | None = None
    updated_at: AwareDatetime | None = None


class CombinedStatus(GitHubModel):
    """All older statuses of a commit; `state` is `pending` also when there are none (`total_count` 0)."""

    state: str
    sha: str
    total_count: int
    statuses: tuple[CommitStatus, ...] = ()


class Workflow(GitHubModel):
    """A workflow: `path` is its file, `state` `active` or why it starts no more (`disabled_manually`, …)."""

    id: int
    name: str = ""
    path: str
    state: str


class WorkflowRun(GitHubModel):
    """A run of a workflow; `path` is its file, possibly followed by `@ref`."""

    id: int
    name: str | None = None
    path: str = ""
    display_title: str = ""
    event: str
    status: str | None = None
    conclusion: str | None = None
    head_branch: str | None = None
    head_sha: str
    run_attempt: int = 1
    actor: User | None = None
    check_suite_id: int | None = None
    html_url: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    pull_requests: tuple[PullRef, ...] = ()


class JobStep(GitHubModel):
    """A step of a job; `number` starts at 1."""

    name: str
    number: int
    status: str
    conclusion: str | None = None


class WorkflowJob(GitHubModel):
    """A job of a workflow run, with its steps."""

    id: int
    run_id: int
    run_attempt: int = 1
    name: str
    status: str
    conclusion: str | None = None
    head_sha: str
    html_url: str | None = None
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    steps: tuple[JobStep, ...] = ()


class WorkflowDispatched(GitHubModel):
    """The run that a workflow dispatch started."""

    workflow_run_id: int
    run_url: str = ""
    html_url: str = ""
