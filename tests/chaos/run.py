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
from config.labels import describe
from config.repository import parse_repository_config
from core.task.labels import labels_for
from sandbox import RealClock, Sandbox
from sandbox.actors.agents import ScriptedAgent
from sandbox.actors.people import Person
from sandbox.faults.random import RandomFaults
from sandbox.providers import ServiceServer
from sandbox.services.labels import add_label
from sandbox.state.models import App, Issue, Repository
from tests.chaos.agent_faults import Moody, ci
from tests.chaos.parameters import ACTIONS, FILES, SERVICES, Scale, configuration
from tests.chaos.replicas import Crowd, Server
from tests.scenarios.shop import body
from tests.scenarios.world import contract

ROOT = Path(__file__).parents[2]
KEY = "a-key-of-the-storm"
SECRET = "a-webhook-secret"
LOOK = 0.5  # seconds between two looks at how it goes
OVER = ("done", "failed")

# What is still to be done: jobs, effects that wait, waits that are over.
_LEFT = text(
    "SELECT (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
    " + (SELECT count(*) FROM outbox WHERE state = 'waiting')"
)
_NOT_OVER = text(
    "SELECT count(*) FROM tasks WHERE status NOT IN ('done', 'failed') AND NOT withdrawn"
    " AND NOT (status = 'ready' AND state->'waits_for' <> '[]')"
)


@dataclass
class Storm:
    """Everything that is there while it lasts, and afterwards."""

    scale: Scale
    seed: int
    hub: Sandbox
    app: App
    alice: Person
    repositories: list[Repository]
    services: ServiceServer
    crowd: Crowd
    server: Server
    database: Database
    weather: RandomFaults
    issues: list[tuple[Repository, Issue]] = field(default_factory=list)
    behind: dict[int, Issue] = field(default_factory=dict)  # by the id of an issue: the one it depends on
    began: float = field(default_factory=time.monotonic)
    hung: bool = False
    _told: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.began

    def tell(self, what: str) -> None:
        """A line of progress for whoever watches, every ten seconds."""
        if self.seconds - self._told < 10:
            return
        self._told = self.seconds
        deaths = f"{self.crowd.killed} replicas and {self.server.killed} times PostgreSQL killed"
        print(f"{self.seconds:5.0f} s  {what}: {self.over()} of {self.scale.tasks} over, {deaths}", file=sys.stderr)

    async def files(self) -> None:
        """Alice files all tasks; some depend on an earlier one."""
        chance = Random(f"{self.seed}:tasks")
        for number in range(self.scale.tasks):
            repository = self.repositories[number % len(self.repositories)]
            earlier = [issue for there, issue in self.issues if there is repository]
            first = chance.choice(earlier) if earlier and chance.random() < 0.1 else None
            more: dict[str, Any] = {"depends_on": f"#{first.number}"} if first else {}
            priority = chance.choice(("P0", "P1", "P2", "P2"))
            issue = await self.alice.opens_issue(
                repository,
                f"Task {number}",
                body(f"Make thing {number}.", needs="python", priority=priority, **more),
                labels=["task"],
            )
            self.issues.append((repository, issue))
            if first:
                self.behind[issue.id] = first
            await asyncio.sleep(self.scale.filing)

    async def rages(self) -> None:
        """Kill, until cancelled: replicas all the time, PostgreSQL when a part of the tasks is over."""
        kills = 0
        while True:
            await asyncio.sleep(LOOK)
            self.crowd.kill_one(self.scale.killing)
            share = self.over() / self.scale.tasks
            if kills < self.scale.database_kills and share >= (kills + 1) / (self.scale.database_kills + 2):
                kills += 1
                await self.server.kill()

    def over(self) -> int:
        """How many tasks GitHub shows as over: done, failed, or for ever behind one that failed."""
        return sum(self.is_over(issue) for _, issue in self.issues)

    def is_over(self, issue: Issue) -> bool:
        """Whether nothing more can happen to it without a person."""
        return any(f"status:{status}" in issue.label_names for status in OVER) or self.is_hopeless(issue)

    def is_hopeless(self, issue: Issue) -> bool:
        """Whether it waits for a task that failed, or for one that does."""
        first = self.behind.get(issue.id)
        return first is not None and ("status:failed" in first.label_names or self.is_hopeless(first))

    async def left(self) -> int:
        """How much is still to be done; what cannot be asked is not done."""
        try:
            async with self.database.autocommit() as connection:
                open_tasks = int((await connection.execute(_NOT_OVER)).scalar_one())
                known = int((await connection.execute(text("SELECT count(*) FROM tasks"))).scalar_one())
                rest = int((await connection.execute(_LEFT)).scalar_one())
        except (SQLAlchemyError, OSError):
            return 1
        return open_tasks + rest + max(0, self.scale.tasks - known)


@asynccontextmanager
async def gathering(scale: Scale, seed: int, folder: Path) -> AsyncIterator[Storm]:
    """The world, its replicas on their way, and the storm about to break."""
    async with AsyncExitStack() as stack:
        clock = RealClock(speed=scale.speed)
        hub = await stack.enter_async_context(Sandbox(folder / "github", clock=clock, contract=contract()))
        alice = hub.user("alice")
        services = await ServiceServer.open(hub)
        script = Moody(seed)
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
        server = Server(folder / "database")
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
        crowd = Crowd(folder, clock, scale.speed, settings)
        app.webhook_url = await stack.enter_async_context(_door(crowd))
        database = Database(url, 2)
        stack.push_async_callback(database.close)
        await crowd.open(scale.replicas)
        stack.push_async_callback(crowd.stop)
        repositories = [await _repository(hub, alice, app, number, seed) for number in range(scale.repositories)]
        weather = RandomFaults(Random(seed), scale.dropped, scale.repeated, scale.shuffled, scale.failing)
        yield Storm(scale, seed, hub, app, alice, repositories, services, crowd, server, database, weather)


async def _repository(hub: Sandbox, alice: Person, app: App, number: int, seed: int) -> Repository:
    """Each belongs to an organisation of its own: an installation each, with its own limits."""
    owner = hub.organisation(f"acme-{number}")
    made = await asyncio.to_thread(lambda: hub.repository(f"acme-{number}/shop", files=dict(FILES)))
    hub.grant(made, alice, "maintain")
    hub.set_ci_script(made, ci(seed))
    for label in map(describe, labels_for(parse_repository_config(configuration()))):
        add_label(hub, made, label.name, label.colour, label.description)
    await hub.install(app, owner, [made])
    return made


@asynccontextmanager
async def _door(crowd: Crowd) -> AsyncIterator[str]:
    application = web.Application(client_max_size=26 * 1024 * 1024)
    application.router.add_post("/webhook", crowd.hand_on)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}/webhook".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def rage(storm: Storm) -> None:
    """The storm breaks and goes on until all tasks are over; then the sky clears, and all comes to rest."""
    storm.hub.faults.random_faults = storm.weather
    raging = asyncio.create_task(storm.rages())
    deadline = storm.began + storm.scale.patience
    try:
        await storm.files()
        while storm.over() < storm.scale.tasks and time.monotonic() < deadline and not raging.done():
            await asyncio.sleep(LOOK)
            storm.tell("raging")
    finally:
        raging.cancel()
        await asyncio.gather(raging, return_exceptions=True)
        await storm.server.running()
    storm.hub.faults.clear()
    quiet = 0
    while quiet < 6 and time.monotonic() < deadline:
        await asyncio.sleep(LOOK)
        storm.tell("clearing")
        quiet = quiet + 1 if await storm.left() == 0 and storm.hub.is_idle else 0
    storm.hung = quiet < 6


@contextmanager
def place(keep: Path | None) -> Iterator[Path]:
    """A folder for everything that is written: one that is kept, or one that goes."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="orchestrator-storm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
