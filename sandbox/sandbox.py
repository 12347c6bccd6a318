"""The sandbox itself: the one object that holds the world, its clock, its server and its webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from sandbox.actions.engine import Actions
from sandbox.clock import Clock, RealClock
from sandbox.faults.plan import FaultPlan
from sandbox.http.pipeline import RequestRecord, Server
from sandbox.http.rate_limits import RateLimits, UsageCounter
from sandbox.idle import IdleTracker, PendingWork, current_work
from sandbox.serializers import issues as issue_serializer
from sandbox.state.apps import Apps
from sandbox.state.models import Account, App, Installation, Repository, User
from sandbox.webhooks import Deliverer, Delivery

if TYPE_CHECKING:
    from sandbox.actions.scripted_result import CiScript
    from sandbox.actors.agents.cloud import CloudAgent
    from sandbox.actors.agents.scripted import ScriptedAgent
    from sandbox.http.openapi_check import Contract


class Sandbox(Apps):
    """A GitHub on your own machine. Use it as an async context manager; `url` is known inside.

    `root` is where the bare repositories are kept. `contract` checks every exchange against GitHub's
    description and records what does not agree in `violations`. Leaving raises what went wrong inside the
    sandbox itself, if anything.
    """

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock | None = None,
        contract: Contract | None = None,
        limits: RateLimits | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(root, clock or RealClock())
        self.contract = contract
        self.limits = limits or RateLimits()
        self.usage_counter = UsageCounter(self.limits)
        self.faults = FaultPlan()
        self.idle_tracker = IdleTracker()
        self.violations: list[str] = []
        self.errors: list[Exception] = []
        self.requests: list[RequestRecord] = []
        self.close_callbacks: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deliverer = Deliverer(self)
        self._server = Server(self, port)
        self.agents: dict[str, ScriptedAgent] = {}
        self.cloud_agents: dict[str, CloudAgent] = {}
        self.offline_labels: set[str] = set()  # labels for which no runner is online: jobs that ask for one stay queued
        self.ci_scripts: dict[int, CiScript] = {}
        self.actions = Actions(self)

    # Opening and closing

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
        await self._cancel_tasks()  # what the last requests began
        await self._deliverer.close()
        if self.errors and error is None:
            raise ExceptionGroup("the sandbox itself failed", self.errors)

    async def _cancel_tasks(self) -> None:
        """Cancel everything, also what the cancelled begin on their way out, and wait until it is over.

        A task that is left would be cancelled by the event loop's own end, together with those of asyncio that
        connect a process's pipes: then it waits for that process for ever.
        """
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The address of the API, of git and of the pages, without a last slash."""
        return self._server.url

    # Work

    def spawn(self, coroutine: Coroutine[Any, Any, Any], *, name: str = "work") -> asyncio.Task[Any]:
        """Run a job that `settled` waits for, except while it sleeps on the clock. Cancelled when the
        sandbox closes.
        """
        work = self.idle_tracker.begin_work(name)
        context = copy_context()
        context.run(current_work.set, work)
        task = asyncio.get_running_loop().create_task(coroutine, name=name, context=context)
        self._track(task)
        task.add_done_callback(lambda _: work.end())
        return task

    def spawn_background(self, coroutine: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run something that never ends by itself; `settled` does not wait for it."""
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
        """Return when no webhook waits to be sent and nothing runs, apart from what sleeps on the clock."""
        await self.idle_tracker.wait_until_idle()

    @property
    def is_idle(self) -> bool:
        """Whether `settled` would return at once."""
        return self.idle_tracker.is_idle

    # Installing and webhooks

    async def install(
        self,
        app: App,
        account: Account,
        repositories: Sequence[Repository] | Literal["all"],
        *,
        sender: User | None = None,
    ) -> Installation:
        """Install an App on an account for some or all of its repositories; sends `installation` created."""
        now = self.now()
        installation = Installation(
            id=self.new_id(),
            app=app,
            account=account,
            repositories=[] if repositories == "all" else list(repositories),
            selection="all" if repositories == "all" else "selected",
            permissions=dict(app.permissions),
            events=list(app.events),
            created_at=now,
            updated_at=now,
        )
        self.installations[installation.id] = installation
        self.emit_installation(installation, "installation", "created", sender=sender, requester=None)
        return installation

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
        payload: dict[str, Any] = {"action": action, "installation": issue_serializer.installation(self, installation)}
        if event == "installation" and action in ("created", "deleted", "suspend", "unsuspend"):
            repositories = self.repositories_of(installation)
            payload["repositories"] = [issue_serializer.installed_repository(repository) for repository in repositories]
        account = installation.account
        acting_user = sender or (account if isinstance(account, User) else self.user(f"{account.login}-owner"))
        self._deliverer.send(
            installation, event, action, {**payload, **fields, "sender": issue_serializer.user(self, acting_user)}
        )

    def emit(self, repository: Repository, event: str, action: str | None, *, sender: User, **fields: Any) -> None:
        """Send a webhook about a repository to every App installed there that subscribed to the event.

        `fields` are JSON values (see `render`); `action`, `repository`, `organization`, `sender` and
        `installation` are added. Nothing is awaited: the delivery leaves in the background, in order.
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
        """Every delivery so far, oldest first; a redelivery is an entry of its own."""
        return self._deliverer.log

    async def redeliver(self, guid: str) -> Delivery:
        """Send a delivery again, as `POST …/attempts` would, and return its new entry once it was tried."""
        redelivery = self.queue_redelivery(self._deliverer.find_latest(guid))
        await self.wait_until_idle()
        return redelivery

    def queue_redelivery(self, delivery: Delivery) -> Delivery:
        """Queue a delivery to be sent again."""
        return self._deliverer.redeliver(delivery)

    def check_webhook(self, event: str, action: str | None, payload: dict[str, Any]) -> None:
        """Record in `violations` where a payload does not agree with GitHub's description."""
        if self.contract is not None:
            self.violations += self.contract.check_webhook(event, action, payload)

    def bring_runner_online(self, label: str) -> None:
        """A runner with this label is online again; the jobs that waited for it begin."""
        self.offline_labels.discard(label)
        self.actions.look_for_work()

    def set_ci_script(self, repository: Repository, script: CiScript | None) -> None:
        """Let a function decide how workflow runs of a repository end, instead of running their steps."""
        if script is None:
            self.ci_scripts.pop(repository.id, None)
        else:
            self.ci_scripts[repository.id] = script
