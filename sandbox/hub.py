"""The Hub protocol: what services, serializers, actors and servers use of the sandbox.

`sandbox.sandbox.Sandbox` implements it. Modules below it depend on this protocol, never on the class.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from sandbox.actions.job_log import JobLog
from sandbox.actions.scripted_result import CiScript
from sandbox.actions.workflow import WorkflowFile
from sandbox.actions.workflow_index import WorkflowIndex
from sandbox.clock import Clock
from sandbox.faults.plan import FaultPlan
from sandbox.http.openapi_check import Contract
from sandbox.http.rate_limits import UsageCounter
from sandbox.idle import PendingWork
from sandbox.state.accounts import Account, App, Manifest, Organisation, Role, User
from sandbox.state.credentials import Credential
from sandbox.state.deliveries import Delivery
from sandbox.state.models import Comment, Installation, Issue, PullRequest, Repository, WorkflowJob, WorkflowRun
from sandbox.state.requests import RequestRecord


class JobAgent(Protocol):
    """An agent that performs dispatched workflow jobs in place of their steps."""

    async def work(self, hub: Hub, job: WorkflowJob, log: JobLog) -> str:
        """Perform a dispatched job and return its conclusion."""
        ...


class HostedAgent(Protocol):
    """An agent that GitHub or a service runs: people assign it or mention it."""

    @property
    def account(self) -> User:
        """The account it acts as."""
        ...

    @property
    def mention(self) -> str | None:
        """The name it answers to in comments; None when it is assigned instead."""
        ...

    def is_called_by(self, comment: Comment) -> bool:
        """Whether a comment mentions it."""
        ...

    def start_on_comment(self, hub: Hub, comment: Comment) -> None:
        """Start or stop work as a comment asks."""
        ...

    def start_on_assignment(self, hub: Hub, issue: Issue, actor: User, assignment: dict[str, Any]) -> None:
        """Start work on an issue that was assigned to it."""
        ...

    def stop(self, issue: Issue) -> None:
        """Stop its work on an issue, if there is any."""
        ...


class WorkflowRuns(Protocol):
    """The engine that starts, cancels and reruns workflow runs."""

    async def start(
        self,
        repository: Repository,
        file: WorkflowFile,
        *,
        event: str,
        actor: User,
        sha: str,
        ref: str,
        title: str,
        payload: dict[str, Any],
        checkout: str | None = None,
        branch: str | None = None,
        pulls: list[PullRequest] | None = None,
        inputs: dict[str, Any] | None = None,
    ) -> WorkflowRun:
        """Create a run and start its first jobs."""
        ...

    def cancel(self, run: WorkflowRun) -> bool:
        """Cancel a run; False when it has completed."""
        ...

    async def rerun(self, run: WorkflowRun, actor: User, *, failed_only: bool = False) -> bool:
        """Run again as the next attempt; False while it runs."""
        ...


class Hub(Protocol):
    """One sandbox: its state, its clock and the operations that every layer needs."""

    root: Path
    clock: Clock
    random: Random
    contract: Contract | None
    usage_counter: UsageCounter
    faults: FaultPlan
    users: dict[str, User]
    repositories: dict[int, Repository]
    former_names: dict[str, int]
    apps: dict[str, App]
    installations: dict[int, Installation]
    credentials: dict[str, Credential]
    manifests: dict[str, Manifest]
    token_numbers: Iterator[int]
    actions_app: App
    workflow_index: WorkflowIndex
    ci_scripts: dict[int, CiScript]
    offline_labels: set[str]
    requests: list[RequestRecord]
    violations: list[str]
    errors: list[Exception]
    close_callbacks: list[Callable[[], Coroutine[Any, Any, None]]]

    @property
    def url(self) -> str:
        """The address of the API, of git and of the pages, without a trailing slash."""
        ...

    @property
    def actions(self) -> WorkflowRuns:
        """GitHub Actions."""
        ...

    @property
    def agents(self) -> Mapping[str, JobAgent]:
        """The agents of dispatched jobs, by the name in the dispatch's payload."""
        ...

    @property
    def cloud_agents(self) -> Mapping[str, HostedAgent]:
        """The agents that people assign or mention."""
        ...

    @property
    def deliveries(self) -> list[Delivery]:
        """Every webhook delivery, oldest first."""
        ...

    def now(self) -> datetime:
        """The time by the sandbox's clock."""
        ...

    def new_id(self) -> int:
        """A number that no other object of this sandbox has."""
        ...

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str = "work") -> asyncio.Task[Any]:
        """Run a job that `wait_until_idle` waits for, except while it sleeps on the clock."""
        ...

    def spawn_background(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run a job that never ends by itself; `wait_until_idle` does not wait for it."""
        ...

    def begin_work(self, name: str) -> PendingWork:
        """Mark something as busy until its `end()`."""
        ...

    def user(self, login: str) -> User:
        """The person of that login, created when there is none."""
        ...

    def bot(self, login: str, *, number: int | None = None) -> User:
        """The bot user of that login, created when there is none."""
        ...

    def organisation(self, login: str) -> Organisation:
        """The organisation of that login, created when there is none."""
        ...

    def account(self, login: str) -> Account | None:
        """The person, bot or organisation of that login, or None."""
        ...

    def find_repository(self, full_name: str) -> Repository | None:
        """The repository of that name, whatever its case, or None."""
        ...

    def grant(self, repository: Repository, person: User, role: Role) -> None:
        """Give a person a role in a repository."""
        ...

    def app_from_manifest(self, code: str) -> App | None:
        """Register the App of a confirmed manifest, or return None."""
        ...

    def installation_of(self, app: App, repository: Repository) -> Installation | None:
        """The installation through which an App reaches a repository."""
        ...

    def installations_on(self, repository: Repository) -> list[Installation]:
        """Every installation that reaches a repository."""
        ...

    def repositories_of(self, installation: Installation) -> list[Repository]:
        """Every repository that an installation reaches."""
        ...

    def create_token(self, person: User) -> str:
        """Issue a personal access token."""
        ...

    def create_installation_token(
        self,
        installation: Installation,
        *,
        permissions: Mapping[str, str] | None = None,
        repositories: Sequence[Repository] | None = None,
    ) -> str:
        """Issue an installation access token."""
        ...

    def create_run_token(self, run: WorkflowRun, permissions: Mapping[str, str] | None = None) -> str:
        """Issue the GITHUB_TOKEN of a workflow run."""
        ...

    def revoke_token(self, token: str) -> None:
        """Revoke a token."""
        ...

    def emit(self, repository: Repository, event: str, action: str | None, *, sender: User, **fields: Any) -> None:
        """Send a webhook about a repository to every App installed there that subscribed to the event."""
        ...

    def emit_to(
        self,
        installation: Installation,
        repository: Repository,
        event: str,
        action: str | None,
        *,
        sender: User,
        **fields: Any,
    ) -> None:
        """Send a webhook about a repository to one installation's App, subscribed or not."""
        ...

    def emit_installation(
        self,
        installation: Installation,
        event: str,
        action: str,
        *,
        sender: User | None = None,
        **fields: Any,
    ) -> None:
        """Send an `installation` or `installation_repositories` webhook to the App itself."""
        ...

    def queue_redelivery(self, delivery: Delivery) -> Delivery:
        """Queue a delivery to be sent again."""
        ...

    def check_webhook(self, event: str, action: str | None, payload: dict[str, Any]) -> None:
        """Record in `violations` where a payload does not match GitHub's description."""
        ...
