"""The storm: tasks are worked on while deliveries are lost, calls fail, and replicas and PostgreSQL are killed."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from adapters.database.database import Database
from config.repository import parse_repository_config
from sandbox import RealClock, Sandbox
from sandbox.actors.agents import ScriptedAgent
from sandbox.actors.people import Person
from sandbox.faults.random import RandomFaults
from sandbox.providers import ServiceServer
from sandbox.services.labels import add_label
from sandbox.state.models import App, Issue, Repository
from tests.builders import repository_labels
from tests.chaos.agent_faults import RandomAgent, random_ci
from tests.chaos.parameters import ACTIONS, FILES, SERVICES, StormParameters, configuration
from tests.chaos.replicas import PostgresServer, ReplicaPool
from tests.contract import contract
from tests.scenarios.shop import body

ROOT = Path(__file__).parents[2]
KEY = "a-key-of-the-storm"
SECRET = "a-webhook-secret"
POLL_SECONDS = 0.5  # seconds between two looks at how it goes
FINAL_STATUSES = ("done", "failed")

# What is still to be done: jobs, effects that wait, waits that are over.
_PENDING_WORK = text(
    "SELECT (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
    " + (SELECT count(*) FROM outbox WHERE state = 'pending')"
)
_OPEN_TASKS = text(
    "SELECT count(*) FROM tasks WHERE status NOT IN ('done', 'failed') AND NOT untracked"
    " AND NOT (status = 'ready' AND state->'waits_for' <> '[]')"
)


@dataclass
class ChaosRun:
    """Everything that is there while it lasts, and afterwards."""

    scale: StormParameters
    seed: int
    hub: Sandbox
    app: App
    alice: Person
    repositories: list[Repository]
    services: ServiceServer
    replicas: ReplicaPool
    server: PostgresServer
    database: Database
    random_faults: RandomFaults
    issues: list[tuple[Repository, Issue]] = field(default_factory=list)
    dependencies: dict[int, Issue] = field(default_factory=dict)  # by the id of an issue: the one it depends on
    started_at: float = field(default_factory=time.monotonic)
    timed_out: bool = False
    _reported_at: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.started_at

    def report_progress(self, phase: str) -> None:
        """Print a line of progress every ten seconds."""
        if self.seconds - self._reported_at < 10:
            return
        self._reported_at = self.seconds
        kill_counts = f"{self.replicas.killed_count} replicas and {self.server.killed_count} times PostgreSQL killed"
        print(
            f"{self.seconds:5.0f} s  {phase}: {self.count_finished()} of {self.scale.tasks} over, {kill_counts}",
            file=sys.stderr,
        )

    async def file_tasks(self) -> None:
        """Alice files all tasks; some depend on an earlier one."""
        rng = Random(f"{self.seed}:tasks")
        for number in range(self.scale.tasks):
            repository = self.repositories[number % len(self.repositories)]
            earlier = [issue for issue_repository, issue in self.issues if issue_repository is repository]
            dependency = rng.choice(earlier) if earlier and rng.random() < 0.1 else None
            body_fields: dict[str, Any] = {"depends_on": f"#{dependency.number}"} if dependency else {}
            priority = rng.choice(("P0", "P1", "P2", "P2"))
            issue = await self.alice.opens_issue(
                repository,
                f"Task {number}",
                body(f"Make thing {number}.", needs="python", priority=priority, **body_fields),
                labels=["task"],
            )
            self.issues.append((repository, issue))
            if dependency:
                self.dependencies[issue.id] = dependency
            await asyncio.sleep(self.scale.filing_interval_seconds)

    async def kill_processes(self) -> None:
        """Kill, until cancelled: replicas all the time, PostgreSQL when a part of the tasks is over."""
        kills = 0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            self.replicas.kill_one(self.scale.replica_lifetime_seconds)
            finished_share = self.count_finished() / self.scale.tasks
            if kills < self.scale.database_kills and finished_share >= (kills + 1) / (self.scale.database_kills + 2):
                kills += 1
                await self.server.kill()

    def count_finished(self) -> int:
        """How many tasks GitHub shows as over: done, failed, or for ever behind one that failed."""
        return sum(self.is_finished(issue) for _, issue in self.issues)

    def is_finished(self, issue: Issue) -> bool:
        """Whether nothing more can happen to it without a person."""
        return any(f"status:{status}" in issue.label_names for status in FINAL_STATUSES) or self.is_hopeless(issue)

    def is_hopeless(self, issue: Issue) -> bool:
        """Whether it waits for a task that failed, or for one that does."""
        dependency = self.dependencies.get(issue.id)
        return dependency is not None and ("status:failed" in dependency.label_names or self.is_hopeless(dependency))

    async def count_pending(self) -> int:
        """How much is still to be done; what cannot be asked is not done."""
        try:
            async with self.database.autocommit() as connection:
                open_tasks = int((await connection.execute(_OPEN_TASKS)).scalar_one())
                known_tasks = int((await connection.execute(text("SELECT count(*) FROM tasks"))).scalar_one())
                pending_work = int((await connection.execute(_PENDING_WORK)).scalar_one())
        except (SQLAlchemyError, OSError):
            return 1
        return open_tasks + pending_work + max(0, self.scale.tasks - known_tasks)


@asynccontextmanager
async def open_storm(scale: StormParameters, seed: int, folder: Path) -> AsyncIterator[ChaosRun]:
    """The world, its replicas on their way, and the storm about to break."""
    async with AsyncExitStack() as stack:
        clock = RealClock(speed=scale.speed)
        hub = await stack.enter_async_context(Sandbox(folder / "github", clock=clock, contract=contract()))
        alice = hub.user("alice")
        services = await ServiceServer.open(hub)
        script = RandomAgent(seed)
        for name in ACTIONS:
            hub.agents[name] = ScriptedAgent(script)
        for service in SERVICES:
            services.agent(service, script, key=KEY)
        manifest: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text(encoding="utf-8"))
        app = hub.register_app(
            "mcp-orchestrator",
            secret=SECRET,
            permissions=manifest["default_permissions"],
            events=manifest["default_events"],
        )
        server = PostgresServer(folder / "database")
        url = await server.start()
        stack.push_async_callback(server.stop)
        settings = {
            "GITHUB_APP_ID": str(app.id),
            "GITHUB_PRIVATE_KEY": app.private_key,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GITHUB_API_URL": hub.url,
            "GITHUB_SERVER_URL": hub.url,
            "DATABASE_URL": url,
            "DATA_DIR": str(folder / "orchestrator"),
            "PORT": "0",
            "LOG_LEVEL": "INFO",
            "SCHEDULER_INTERVAL_SECONDS": str(0.5 * scale.speed),
            **{f"{name.upper()}_API_URL": services.url(name) for name in SERVICES},
            **{f"{name.upper()}_API_KEY": KEY for name in SERVICES},
        }
        replicas = ReplicaPool(folder, clock, scale.speed, settings)
        app.webhook_url = await stack.enter_async_context(_ingress_proxy(replicas))
        database = Database(url, 2)
        stack.push_async_callback(database.close)
        await replicas.open(scale.replicas)
        stack.push_async_callback(replicas.stop)
        repositories = [await _repository(hub, alice, app, number, seed) for number in range(scale.repositories)]
        random_faults = RandomFaults(
            Random(seed), scale.drop_rate, scale.repeat_rate, scale.max_delay_seconds, scale.failure_rate
        )
        yield ChaosRun(scale, seed, hub, app, alice, repositories, services, replicas, server, database, random_faults)


async def _repository(hub: Sandbox, alice: Person, app: App, number: int, seed: int) -> Repository:
    """Each belongs to an organisation of its own: an installation each, with its own limits."""
    owner = hub.organisation(f"acme-{number}")
    repository = await asyncio.to_thread(lambda: hub.repository(f"acme-{number}/shop", files=dict(FILES)))
    hub.grant(repository, alice, "maintain")
    hub.set_ci_script(repository, random_ci(seed))
    for label in repository_labels(parse_repository_config(configuration())):
        add_label(hub, repository, label.name, label.colour, label.description)
    await hub.install(app, owner, [repository])
    return repository


@asynccontextmanager
async def _ingress_proxy(replicas: ReplicaPool) -> AsyncIterator[str]:
    application = web.Application(client_max_size=26 * 1024 * 1024)
    application.router.add_post("/webhook", replicas.forward_delivery)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}/webhook".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def run(storm: ChaosRun) -> None:
    """The storm breaks and goes on until all tasks are over; then the sky clears, and all comes to rest."""
    storm.hub.faults.random_faults = storm.random_faults
    kill_task = asyncio.create_task(storm.kill_processes())
    deadline = storm.started_at + storm.scale.timeout_seconds
    try:
        await storm.file_tasks()
        while storm.count_finished() < storm.scale.tasks and time.monotonic() < deadline and not kill_task.done():
            await asyncio.sleep(POLL_SECONDS)
            storm.report_progress("raging")
    finally:
        kill_task.cancel()
        await asyncio.gather(kill_task, return_exceptions=True)
        await storm.server.ensure_running()
    storm.hub.faults.clear()
    idle_checks = 0
    while idle_checks < 6 and time.monotonic() < deadline:
        await asyncio.sleep(POLL_SECONDS)
        storm.report_progress("clearing")
        idle_checks = idle_checks + 1 if await storm.count_pending() == 0 and storm.hub.is_idle else 0
    storm.timed_out = idle_checks < 6


@contextmanager
def storage_folder(kept_folder: Path | None) -> Iterator[Path]:
    """A folder for everything that is written: one that is kept, or one that goes."""
    if kept_folder is not None:
        kept_folder.mkdir(parents=True, exist_ok=True)
        yield kept_folder
        return
    with tempfile.TemporaryDirectory(prefix="orchestrator-storm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
