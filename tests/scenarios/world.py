"""The world of a story: a GitHub sandbox, our bot beside it, one clock for both, and everything cranked by hand.

A story says what people and agents do, turns the clock, and reads what the bot wrote. At the end nothing the bot wrote
may be left unread: `written()` returns what is new for an assertion, `ignore_writes("set-up")` discards it by name, and
the fixture fails on what is left.

The bot does one thing at a time, and the world comes to rest after each thing it sends, so that the same story always
has the same writes in the same order. A story about races sets `workers` higher and reads only how it ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml
from sqlalchemy import text

from adapters.database import audit_log as lines
from adapters.database import store
from adapters.database.database import Database
from adapters.github.http import RetryPolicy
from bot.app import Bot, assemble, listening
from bot.jobs import drain_queue
from config.repository import parse_repository_config
from config.settings import load_settings
from core.audit.events import Event, EventType
from core.task.model import Task
from sandbox import ManualClock, Sandbox
from sandbox.actions.scripted_result import CiScript, ScriptedResult
from sandbox.actors.agents import ScriptedAgent
from sandbox.actors.agents.scripted import Script
from sandbox.actors.people import Person
from sandbox.providers import ServiceServer
from sandbox.services.labels import add_label
from sandbox.state.models import App, CheckRun, Installation, Issue, PullRequest, Repository, WorkflowRun
from scheduler.downtime import extend_deadlines_after_downtime
from scheduler.startup import discover_repositories
from scheduler.sweep import sweep
from scheduler.timer import retry_stalled_jobs
from tests.builders import repository_labels
from tests.contract import contract
from tests.scenarios.shop import CONFIG_PATH, FILES
from tests.scenarios.stepping import BotClock, wait_after_effects
from tests.scenarios.writes import LENDER, describe_request, writes_of

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
NO_WAIT = RetryPolicy(wait_initial=0, wait_max=0, wait_jitter=0)
SECRET = "a-webhook-secret"
_PENDING_COUNTS = text(
    "SELECT count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'doing'),"
    " (SELECT count(*) FROM deadlines WHERE due_at <= :now) FROM procrastinate_jobs"
)


story_fixture = pytest_asyncio.fixture(loop_scope="session")
"""Decorates asynchronous fixtures of stories: they live in the event loop that all stories share (`conftest.py`)."""


class SharedDatabase(Database):
    """The database of one story after the other: its connections, and what they know of statements, stay."""

    async def close(self) -> None:
        """A story is over; the process that ran it ends the connections."""


@cache
def shared_database(url: str, pool_size: int) -> Database:
    """The one for all stories that run in a process."""
    return SharedDatabase(url, pool_size)


@cache
def manifest() -> dict[str, Any]:
    """What the App asks for, read once."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text())
    return data


@dataclass
class World:
    """What a story has at hand."""

    hub: Sandbox
    clock: ManualClock
    shop: Repository
    alice: Person  # a maintainer
    app: App
    env: dict[str, str]
    workers: int = 1
    sleep_advances_clock: bool = False  # whether the bot's own sleep turns the clock
    _read_count: int = 0
    _bots: list[tuple[Bot, AsyncExitStack]] = field(default_factory=list)

    @property
    def bot(self) -> Bot:
        """The bot that runs now."""
        return self._bots[-1][0]

    @property
    def address(self) -> str:
        """Where the bot listens."""
        return (self.app.webhook_url or "").removesuffix("/webhook")

    @property
    def installation(self) -> Installation:
        """The App's installation on the shop."""
        [installation] = [i for i in self.hub.installations.values() if i.app is self.app]
        return installation

    # Time

    async def settle(self) -> None:
        """Let everything happen that happens without the clock going on."""
        for _ in range(200):
            await self.hub.wait_until_idle()
            queued_jobs, started_jobs, due_deadlines = await self._open()
            if due_deadlines:
                await sweep(self.bot.work)
            elif started_jobs and not queued_jobs:
                await retry_stalled_jobs(self.bot.jobs)  # their worker is dead
            elif queued_jobs:
                await drain_queue(self.bot.jobs, self.workers)
            elif self.hub.is_idle:
                return
        raise AssertionError("the world does not come to rest")

    async def _open(self) -> tuple[int, int, int]:
        """How many jobs wait, how many were begun, and how many deadlines are due."""
        async with self.bot.database.autocommit() as connection:
            [counts] = await connection.execute(_PENDING_COUNTS, {"now": self.bot.work.now()})
        return counts[0], counts[1], counts[2]

    async def advance(self, **duration: float) -> None:
        """Turn the clock (`minutes=3`, and a moment), and let what is due happen."""
        self.clock.advance(timedelta(**duration).total_seconds() + 0.1)
        await self.settle()

    # What people and agents do

    async def files(self, title: str, text: str, *labels: str, author: Person | None = None) -> Issue:
        """Alice (or `author`) files a task, and everything due happens."""
        issue = await (author or self.alice).opens_issue(self.shop, title, text, labels=["task", *labels])
        await self.settle()
        return issue

    async def lends_a_token(self) -> Person:
        """A user with write access gives the operator a personal token; the bot restarts with it."""
        lender = self.person(LENDER, "write")
        self.env = {**self.env, "GITHUB_USER_TOKEN": self.hub.create_token(lender)}
        await self.stop()
        await self.start()
        await self.settle()
        return lender

    async def configures(self, text: str) -> None:
        """Alice pushes another configuration; the labels that come with it are no part of the story."""
        await self.alice.pushes(self.shop, "main", {CONFIG_PATH: text}, "Configure")
        await self.settle()
        unexpected_writes = [line for line in self.written() if not line.startswith("label ")]
        assert not unexpected_writes, unexpected_writes

    async def says(self, issue: Issue, text: str, *, author: Person | None = None) -> None:
        """A user (alice by default) comments, and the bot answers."""
        await (author or self.alice).comments(issue, text)
        await self.settle()

    def person(self, login: str, role: Any = "none") -> Person:
        """A user with this role in the shop."""
        person = self.hub.user(login)
        self.hub.grant(self.shop, person, role)
        return person

    def agent(self, name: str, script: Script, **more: Any) -> ScriptedAgent:
        """Let an agent of the configuration do its work by a script."""
        agent = ScriptedAgent(script, **more)
        self.hub.agents[name] = agent
        return agent

    async def services(self) -> ServiceServer:
        """Cursor, Jules and Devin beside the sandbox; the bot comes again with the operator's keys for them."""
        services = await ServiceServer.open(self.hub)
        await self.stop()
        for name in ("cursor", "jules", "devin"):
            self.env |= {f"{name.upper()}_API_KEY": f"{name}-key", f"{name.upper()}_API_URL": services.url(name)}
        self.env |= {"AGENT_HTTP_SECRET": "plain-key", "ALLOW_INTERNAL_AGENT_URLS": "true"}
        await self.start()
        return services

    def ci(self, script: CiScript | None = None) -> None:
        """How CI of pull requests ends: by this script; without one, green."""

        def decide(run: WorkflowRun) -> Any:
            if run.event in ("repository_dispatch", "workflow_dispatch"):
                return None
            return script(run) if script else ScriptedResult.success()

        self.hub.set_ci_script(self.shop, decide)

    # What there is to see

    async def task(self, issue: Issue | int) -> Task:
        """The bot's own picture of a task."""
        number = issue if isinstance(issue, int) else issue.number
        async with self.bot.database.transaction() as connection:
            task = await store.load_task(connection, self.shop.id, number)
        assert task is not None, f"#{number} is no task"
        return task

    async def events(self, issue: Issue) -> list[str]:
        """The types of the audit trail of a task, but for what is only told to account for it."""
        return [event.type.value for event in await self.trail(issue) if event.type is not EventType.TASK_CHANGED]

    async def trail(self, issue: Issue) -> list[Event]:
        """The audit trail of a task."""
        async with self.bot.database.transaction() as connection:
            return await lines.latest_events(connection, self.shop.id, issue.number, 1000)

    def status(self, issue: Issue) -> str:
        """The status that GitHub shows; exactly one."""
        [status] = [name for name in issue.label_names if name.startswith("status:")]
        return status.removeprefix("status:")

    def card(self, issue: Issue) -> str:
        """The one task card."""
        [card] = [c.body for c in issue.comments if "orchestrator:card" in c.body]
        return card

    def comments(self, issue: Issue) -> list[str]:
        """What the bot wrote besides the card."""
        return [c.body for c in issue.comments if c.user is self.app.bot and "orchestrator:card" not in c.body]

    @property
    def pull(self) -> PullRequest:
        """The newest pull request."""
        return self.shop.pulls()[-1]

    def check(self, name: str) -> CheckRun:
        """The check of this name on the newest pull request."""
        [check] = [run for run in self.shop.check_runs(self.pull.head_sha) if run.name == name]
        return check

    def check_of(self, pull: PullRequest) -> CheckRun:
        """The check `conflict-first` as GitHub shows it on a pull request: the newest run."""
        runs = self.shop.check_runs(pull.head_sha)
        return max((run for run in runs if run.name == "conflict-first"), key=lambda run: run.id)

    def written(self) -> list[str]:
        """What the bot wrote to GitHub since the last call, a line each."""
        new_lines = self.unread_writes()
        self._read_count = len(writes_of(self.hub, self.app))
        return new_lines

    def ignore_writes(self, reason: str) -> None:
        """Discard the writes up to now, which the story does not assert; `reason` says what they are."""
        assert reason.strip(), "say which writes are ignored"
        assert self.written(), f"there are no writes to ignore ({reason}): remove the call"

    def unread_writes(self) -> list[str]:
        """The writes that no call has taken."""
        records = writes_of(self.hub, self.app)[self._read_count :]
        return [line for record in records for line in describe_request(self.hub, record)]

    # The bot's own life

    async def start(self) -> None:
        """Start a bot on the story's database."""
        stack = AsyncExitStack()
        settings = load_settings(self.env, env_file=None)
        bot = await stack.enter_async_context(
            assemble(
                settings, BotClock(self.clock, sleep_advances_clock=self.sleep_advances_clock), NO_WAIT, shared_database
            )
        )
        address = await stack.enter_async_context(listening(bot))
        self.app.webhook_url = f"{address}/webhook"
        self._bots.append((bot, stack))
        await extend_deadlines_after_downtime(bot.work)
        await discover_repositories(bot.work, bot.client)

    async def stop(self) -> None:
        """Stop the bot."""
        while self._bots:
            _, stack = self._bots.pop()
            await stack.aclose()


@asynccontextmanager
async def open_world(root: Path, database_url: str, files: Mapping[str, str] = FILES) -> AsyncIterator[World]:
    """A sandbox with the repository `acme/shop`, its maintainer alice, our App installed, and our bot running."""
    clock = ManualClock(START)
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(Sandbox(root=root / "hub", clock=clock, contract=contract()))
        stack.enter_context(wait_after_effects(hub))
        organisation, alice = hub.organisation("acme"), hub.user("alice")
        shop = hub.repository("acme/shop", files=dict(files))
        hub.grant(shop, alice, "maintain")
        if text := files.get(CONFIG_PATH):
            # The bot was here before, and making labels is a story of its own.
            for label in repository_labels(parse_repository_config(text, CONFIG_PATH)):
                add_label(hub, shop, label.name, label.colour, label.description)
        app_manifest = manifest()
        app = hub.register_app(
            "mcp-orchestrator",
            webhook_url="http://127.0.0.1:9/webhook",
            secret=SECRET,
            permissions=app_manifest["default_permissions"],
            events=app_manifest["default_events"],
        )
        env = {
            "GITHUB_APP_ID": str(app.id),
            "GITHUB_PRIVATE_KEY": app.private_key,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GITHUB_API_URL": hub.url,
            "GITHUB_SERVER_URL": hub.url,
            "DATABASE_URL": database_url,
            "DATA_DIR": str(root / "data"),
            "PORT": "0",
            "GITHUB_WRITE_INTERVAL_SECONDS": "0",  # no story turns the clock between two writes
            "CARD_DEBOUNCE_SECONDS": "0",  # a story reads the card as it is; one shows that edits wait for each other
        }
        world = World(hub, clock, shop, alice, app, env)
        world.ci()
        await world.start()
        stack.push_async_callback(world.stop)
        await hub.install(app, organisation, [shop])
        await world.settle()
        assert world.written() == []
        yield world
        await world.settle()
        unexpected_writes = world.unread_writes()
        assert not unexpected_writes, "the bot wrote what the story did not expect:\n" + "\n".join(unexpected_writes)
        assert hub.violations == [], "\n".join(hub.violations)
        async with world.bot.database.transaction() as connection:
            audit_result = await lines.verify(connection, shop.id)
        assert not audit_result.problems, "the audit trail does not account for the story:\n" + "\n".join(
            audit_result.problems
        )
