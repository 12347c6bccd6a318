"""The sandbox: the one object that holds the state, the clock, the server and the webhooks."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextvars import copy_context
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from sandbox.actions.engine import Actions
from sandbox.actions.scripted_result import CiScript
from sandbox.actions.workflow_index import WorkflowIndex
from sandbox.actors.agents.cloud import CloudAgent
from sandbox.actors.agents.scripted import ScriptedAgent
from sandbox.actors.people import Person
from sandbox.clock import Clock, RealClock
from sandbox.faults.plan import FaultPlan
from sandbox.http.openapi_check import Contract
from sandbox.http.pipeline import Server
from sandbox.http.rate_limits import RateLimitSettings, UsageCounter
from sandbox.idle import IdleTracker, PendingWork, current_work
from sandbox.services import apps, installations, repositories, tokens
from sandbox.state.accounts import Account, App, Manifest, Organisation, Role, User
from sandbox.state.credentials import Credential
from sandbox.state.deliveries import Delivery
from sandbox.state.models import Installation, Repository, WorkflowRun
from sandbox.state.requests import RequestRecord
from sandbox.webhooks import Deliverer


class Sandbox:
    """A GitHub on your own machine. Use it as an async context manager; `url` is set inside.

    `root` is where the bare repositories are stored. `contract` checks every exchange against GitHub's
    description and records differences in `violations`. Leaving raises the errors of the sandbox itself, if any.
    """

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock | None = None,
        contract: Contract | None = None,
        limits: RateLimitSettings | None = None,
        port: int = 0,
    ) -> None:
        self.root = root
        self.clock = clock or RealClock()
        self.random = random.Random(20_260_302)  # noqa: S311 - the same ids in every run, no secrets
        self.contract = contract
        self.limits = limits or RateLimitSettings()
        self.usage_counter = UsageCounter(self.limits)
        self.faults = FaultPlan()
        self.idle_tracker = IdleTracker()
        self.users: dict[str, User] = {}
        self.organisations: dict[str, Organisation] = {}
        self.repositories: dict[int, Repository] = {}
        self.former_names: dict[str, int] = {}
        self.apps: dict[str, App] = {}
        self.installations: dict[int, Installation] = {}
        self.credentials: dict[str, Credential] = {}
        self.manifests: dict[str, Manifest] = {}
        self.token_numbers: Iterator[int] = itertools.count(1)
        self.agents: dict[str, ScriptedAgent] = {}
        self.cloud_agents: dict[str, CloudAgent] = {}
        self.offline_labels: set[str] = set()  # labels without an online runner: jobs that ask for one stay queued
        self.ci_scripts: dict[int, CiScript] = {}
        self.violations: list[str] = []
        self.errors: list[Exception] = []
        self.requests: list[RequestRecord] = []
        self.close_callbacks: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._ids = itertools.count(10_000_001)  # far from issue numbers, so that a mix-up shows
        self._tasks: set[asyncio.Task[Any]] = set()
        self._owner = self.organisation("github")
        self.actions_app = apps.actions_app(self, self._owner, self.bot("github-actions[bot]", number=apps.ACTIONS_BOT))
        self.workflow_index = WorkflowIndex(
            now=self.now, new_id=self.new_id, random=self.random, scripted=self.ci_scripts
        )
        self.actions = Actions(self)
        self._deliverer = Deliverer(self)
        self._server = Server(self, port)

    # Open and close

    async def __aenter__(self) -> Sandbox:
        self.root.mkdir(parents=True, exist_ok=True)
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._cancel_tasks()
        for close in self.close_callbacks:
            await close()
        await self._server.close()
        await self._cancel_tasks()  # the tasks that the last requests started
        await self._deliverer.close()
        if self.errors and error is None:
            raise ExceptionGroup("the sandbox itself failed", self.errors)

    async def _cancel_tasks(self) -> None:
        """Cancel all tasks, including those that cancelled tasks start, and wait for their end.

        The event loop would otherwise cancel a remaining task together with asyncio's tasks for a process's pipes, and
        the task would wait for that process forever.
        """
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The address of the API, of git and of the pages, without a trailing slash."""
        return self._server.url

    # Work

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str = "work") -> asyncio.Task[Any]:
        """Run a job that `wait_until_idle` waits for, except while it sleeps on the clock. Closing cancels it."""
        work = self.idle_tracker.begin_work(name)
        context = copy_context()
        context.run(current_work.set, work)
        task = asyncio.get_running_loop().create_task(coroutine, name=name, context=context)
        self._track(task)
        task.add_done_callback(lambda _: work.end())
        return task

    def spawn_background(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run a job that never ends by itself; `wait_until_idle` does not wait for it."""
        context = copy_context()
        context.run(current_work.set, None)
        task = asyncio.get_running_loop().create_task(coroutine, name=name, context=context)
        self._track(task)
        return task

    def _track(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, Exception):
                self.errors.append(error)

    def begin_work(self, name: str) -> PendingWork:
        """Mark something as busy until its `end()`."""
        return self.idle_tracker.begin_work(name)

    async def wait_until_idle(self) -> None:
        """Return when no webhook waits to be sent and nothing runs, except what sleeps on the clock."""
        await self.idle_tracker.wait_until_idle()

    @property
    def is_idle(self) -> bool:
        """Whether `wait_until_idle` would return at once."""
        return self.idle_tracker.is_idle

    def now(self) -> datetime:
        """The time by the sandbox's clock."""
        return self.clock.now()

    def new_id(self) -> int:
        """A number that no other object of this sandbox has."""
        return next(self._ids)

    # Accounts and repositories

    def organisation(self, login: str) -> Organisation:
        """The organisation of that login, created when there is none."""
        organisation = self.organisations.get(login.lower())
        if organisation is None:
            organisation = Organisation(id=self.new_id(), login=login, created_at=self.now())
            self.organisations[login.lower()] = organisation
        return organisation

    def user(self, login: str, *, name: str | None = None, email: str | None = None) -> Person:
        """The person of that login, created when there is none. Raises ValueError when it is a bot's."""
        user = self.users.get(login.lower())
        if user is None:
            user = Person(hub=self, id=self.new_id(), login=login, name=name, email=email, created_at=self.now())
            self.users[login.lower()] = user
        if not isinstance(user, Person):
            raise ValueError(f"{login} is a bot, not a person")
        return user

    def bot(self, login: str, *, number: int | None = None) -> User:
        """The bot user of that login (`name[bot]`), created when there is none."""
        user = self.users.get(login.lower())
        if user is None:
            user = User(id=number or self.new_id(), login=login, type="Bot", created_at=self.now())
            self.users[login.lower()] = user
        return user

    def account(self, login: str) -> Account | None:
        """The person, bot or organisation of that login, or None."""
        return self.organisations.get(login.lower()) or self.users.get(login.lower())

    def repository(
        self,
        full_name: str,
        *,
        files: Mapping[str, str | bytes] | None = None,
        private: bool = False,
        default_branch: str = "main",
        description: str | None = None,
    ) -> Repository:
        """The repository `owner/name`, created with one commit of `files` when there is none.

        The owner is the organisation or person of that login; an unknown owner becomes an organisation.
        """
        existing = self.find_repository(full_name)
        if existing is not None:
            return existing
        login, name = repositories.check_full_name(full_name)
        return repositories.create_repository(
            self,
            self.account(login) or self.organisation(login),
            name,
            files=files,
            private=private,
            default_branch=default_branch,
            description=description,
        )

    def find_repository(self, full_name: str) -> Repository | None:
        """The repository of that name, whatever its case, or None."""
        lowered = full_name.lower()
        return next(
            (repository for repository in self.repositories.values() if repository.full_name.lower() == lowered), None
        )

    def rename(self, repository: Repository, name: str) -> None:
        """Rename a repository; requests with the old name are answered 301 from now on."""
        repositories.rename(self, repository, name)

    def grant(self, repository: Repository, person: User, role: Role) -> None:
        """Give a person a role (read, triage, write, maintain, admin), or take it away (none)."""
        if role == "none":
            repository.grants.pop(person.id, None)
        else:
            repository.grants[person.id] = role

    # Apps, installations and tokens

    def register_app(
        self,
        slug: str,
        *,
        webhook_url: str | None = None,
        secret: str | None = None,
        permissions: Mapping[str, str],
        events: Sequence[str] = (),
        name: str | None = None,
        owner: Account | None = None,
    ) -> App:
        """Register a GitHub App. Raises ValueError for events that its permissions do not cover."""
        return apps.register_app(
            self,
            slug,
            webhook_url=webhook_url,
            secret=secret,
            permissions=permissions,
            events=events,
            name=name,
            owner=owner or self._owner,
        )

    def confirm_manifest(self, content: Mapping[str, Any], owner: Account) -> str:
        """Confirm a manifest (`app.yml` as a dict) as its owner, and return the code to convert.

        `POST /app-manifests/{code}/conversions` turns the code into the App. Raises ValueError for a manifest that
        lacks a required key, or whose events its permissions do not cover.
        """
        return apps.confirm_manifest(self, content, owner)

    def app_from_manifest(self, code: str) -> App | None:
        """Register the App of a confirmed manifest; None when the code is unknown, used or older than an hour."""
        return apps.app_from_manifest(self, code)

    async def install(
        self,
        app: App,
        account: Account,
        repositories: Sequence[Repository] | Literal["all"],
        *,
        sender: User | None = None,
    ) -> Installation:
        """Install an App on an account for some or all of its repositories; sends `installation` created."""
        return installations.install(self, app, account, repositories, sender=sender)

    def installation_of(self, app: App, repository: Repository) -> Installation | None:
        """The installation through which an App reaches a repository."""
        return next(
            (installation for installation in self.installations_on(repository) if installation.app is app), None
        )

    def installations_on(self, repository: Repository) -> list[Installation]:
        """Every installation that reaches a repository."""
        return [
            installation
            for installation in self.installations.values()
            if (installation.selection == "all" and installation.account is repository.owner)
            or repository in installation.repositories
        ]

    def repositories_of(self, installation: Installation) -> list[Repository]:
        """Every repository that an installation reaches."""
        return [
            repository for repository in self.repositories.values() if installation in self.installations_on(repository)
        ]

    def create_token(self, person: User) -> str:
        """Issue a personal access token with everything that the person may do."""
        return tokens.create_personal_token(self, person)

    def create_installation_token(
        self,
        installation: Installation,
        *,
        permissions: Mapping[str, str] | None = None,
        repositories: Sequence[Repository] | None = None,
    ) -> str:
        """Issue an installation access token that expires after an hour of the sandbox's clock."""
        return tokens.create_installation_token(self, installation, permissions=permissions, repositories=repositories)

    def create_run_token(self, run: WorkflowRun, permissions: Mapping[str, str] | None = None) -> str:
        """Issue the GITHUB_TOKEN of a workflow run: it acts as github-actions[bot] in that repository only."""
        return tokens.create_run_token(self, run, permissions)

    def revoke_token(self, token: str) -> None:
        """Revoke a token."""
        self.credentials.pop(token, None)

    # Webhooks

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
        self._deliverer.emit_installation(installation, event, action, sender=sender, **fields)

    def emit(self, repository: Repository, event: str, action: str | None, *, sender: User, **fields: Any) -> None:
        """Send a webhook about a repository to every App installed there that subscribed to the event.

        `fields` are JSON values (see `serializers`); `action`, `repository`, `organization`, `sender` and
        `installation` are added. The delivery is sent in the background, in order.
        """
        self._deliverer.emit(repository, event, action, sender=sender, **fields)

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
        """Send a webhook about a repository to one installation's App only, subscribed or not."""
        self._deliverer.emit_to(installation, repository, event, action, sender=sender, **fields)

    @property
    def deliveries(self) -> list[Delivery]:
        """Every delivery so far, oldest first; a redelivery is a separate entry."""
        return self._deliverer.log

    async def redeliver(self, guid: str) -> Delivery:
        """Send a delivery again, as `POST …/attempts` would, and return its new entry after the attempt."""
        redelivery = self.queue_redelivery(self._deliverer.find_latest(guid))
        await self.wait_until_idle()
        return redelivery

    def queue_redelivery(self, delivery: Delivery) -> Delivery:
        """Queue a delivery to be sent again."""
        return self._deliverer.redeliver(delivery)

    def check_webhook(self, event: str, action: str | None, payload: dict[str, Any]) -> None:
        """Record in `violations` where a payload does not match GitHub's description."""
        if self.contract is not None:
            self.violations += self.contract.check_webhook(event, action, payload)

    def bring_runner_online(self, label: str) -> None:
        """Bring a runner with this label online; the jobs that waited for it start."""
        self.offline_labels.discard(label)
        self.actions.start_waiting_jobs()

    def set_ci_script(self, repository: Repository, script: CiScript | None) -> None:
        """Let a function decide the result of a repository's workflow runs, instead of running their steps."""
        if script is None:
            self.ci_scripts.pop(repository.id, None)
        else:
            self.ci_scripts[repository.id] = script
