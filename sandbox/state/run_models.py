"""Workflow runs and their jobs, as state. (Their rules live in `actions/`.)"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.state.ids import node_id

if TYPE_CHECKING:
    from sandbox.state.check_models import CheckRun, CheckSuite
    from sandbox.state.models import PullRequest, Repository, User


@dataclass(eq=False, kw_only=True)
class WorkflowStep:
    """One step of a job."""

    name: str
    number: int
    status: str = "queued"
    conclusion: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(eq=False, kw_only=True)
class WorkflowJob:
    """One job of a run's attempt, with its log."""

    id: int
    run: WorkflowRun = field(repr=False)
    attempt: int
    name: str
    check_run: CheckRun | None = field(default=None, repr=False)
    status: str = "queued"
    conclusion: str | None = None
    created_at: datetime = field(repr=False)
    started_at: datetime | None = None
    completed_at: datetime | None = None
    steps: list[WorkflowStep] = field(default_factory=list, repr=False)
    log: str = field(default="", repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("CR", self.id)


@dataclass(eq=False, kw_only=True)
class WorkflowRun:
    """One run of a workflow."""

    id: int
    repository: Repository = field(repr=False)
    workflow_id: int
    path: str
    name: str
    display_title: str
    number: int
    event: str
    head_branch: str
    head_sha: str
    actor: User
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    started_at: datetime = field(repr=False)
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    check_suite: CheckSuite | None = field(default=None, repr=False)
    pulls: list[PullRequest] = field(default_factory=list, repr=False)
    jobs: list[WorkflowJob] = field(default_factory=list, repr=False)
    inputs: dict[str, Any] = field(default_factory=dict, repr=False)
    payload: dict[str, Any] = field(default_factory=dict, repr=False)
    ref: str = field(default="", repr=False)
    checkout_sha: str = field(default="", repr=False)
    triggering_actor: User | None = field(default=None, repr=False)

    @property
    def latest_jobs(self) -> list[WorkflowJob]:
        """The jobs of the newest attempt."""
        return [job for job in self.jobs if job.attempt == self.attempt]

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("WFR", self.id)
