"""Check suites, check runs and commit statuses, as state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.state.ids import node_id

if TYPE_CHECKING:
    from sandbox.state.models import App, Repository, User


@dataclass(eq=False, kw_only=True)
class CheckSuite:
    """All check runs of one App on one commit."""

    id: int
    repository: Repository = field(repr=False)
    app: App = field(repr=False)
    head_sha: str
    head_branch: str | None
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)
    before: str | None = None
    after: str | None = None
    runs: list[CheckRun] = field(default_factory=list, repr=False)
    status: str = "queued"
    conclusion: str | None = None

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("CS", self.id)

    @property
    def latest_runs(self) -> list[CheckRun]:
        """The newest run of each name; older ones were replaced by them."""
        return list({run.name: run for run in self.runs}.values())


@dataclass(eq=False, kw_only=True)
class CheckRun:
    """One check on a commit."""

    id: int
    suite: CheckSuite = field(repr=False)
    name: str
    status: str = "queued"
    conclusion: str | None = None
    external_id: str = ""
    details_url: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list, repr=False)
    actions: list[dict[str, str]] = field(default_factory=list, repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("CR", self.id)

    @property
    def head_sha(self) -> str:
        """The commit it is about."""
        return self.suite.head_sha

    @property
    def repository(self) -> Repository:
        """Where it is."""
        return self.suite.repository

    @property
    def app(self) -> App:
        """Who made it: only Apps make check runs."""
        return self.suite.app


@dataclass(eq=False, kw_only=True)
class CommitStatus:
    """A commit status, the older cousin of the check run."""

    id: int
    repository: Repository = field(repr=False)
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: User
    created_at: datetime = field(repr=False)
    updated_at: datetime = field(repr=False)

    @property
    def node_id(self) -> str:
        """The GraphQL id."""
        return node_id("SC", self.id)
