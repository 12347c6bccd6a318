"""Connects sandbox and bot as in production: over HTTP only."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot.app import Bot, assemble, listening
from bot.demo import files as demo_files
from bot.demo.form import IssueForm
from bot.demo.people import Maintainer
from bot.demo.scenario import SPEED, Scenario
from config.repository import CONFIG_PATH, parse_repository_config
from config.settings import load_settings
from sandbox import RateLimitSettings, RealClock, Sandbox
from sandbox.actors.agents import AgentWork, ScriptedAgent
from sandbox.actors.agents.scripted import Script
from sandbox.providers import ServiceAgent, ServiceServer
from sandbox.state.models import App, Repository

# The demo packs an afternoon's work into half a minute. GitHub's limits by the hour apply; those by the minute would
# only make it wait, which it does well but is dull to watch.
KEY = "a-key-of-the-demo"  # to the services outside
CRASH_AFTER_SECONDS = (
    4.0  # seconds of the watcher's after which an agent dies: long enough to be asked once how it goes
)
SCHEDULER_INTERVAL = 0.5  # seconds of the watcher's between two looks at the deadlines
UNLIMITED = 100_000
LIMITS = RateLimitSettings(points_per_minute=UNLIMITED, content_per_minute=UNLIMITED)


@dataclass(slots=True)
class CrashesOnce:
    """An agent of a service that dies during its first task: its session disappears without an event."""

    agent: ServiceAgent
    script: Script = field(init=False)
    has_crashed: bool = False

    def __post_init__(self) -> None:
        """Take over from what the agent would do."""
        self.script = self.agent.script

    async def __call__(self, work: AgentWork) -> None:
        """Die, or do the work."""
        if self.has_crashed:
            await self.script(work)
            return
        self.has_crashed = True
        await work.clone()
        await work.think(CRASH_AFTER_SECONDS * SPEED)
        self.agent.sessions[:] = [session for session in self.agent.sessions if session.work is not work]
        work.crash()


@dataclass(slots=True)
class Environment:
    """Everything that is running."""

    hub: Sandbox
    shop: Repository
    app: App
    bot: Bot
    alice: Maintainer
    capabilities: Mapping[str, tuple[str, ...]]  # of each agent, as the repository's configuration has them
    bot_task: asyncio.Task[None]  # the bot at work; ends only by a failure


@asynccontextmanager
async def open_environment(root: Path, scenario: Scenario) -> AsyncIterator[Environment]:
    """Start everything, with all files below `root`; everything is stopped on exit."""
    files = demo_files.shop_files()
    async with AsyncExitStack() as stack:
        clock = RealClock(speed=SPEED)
        hub = await stack.enter_async_context(Sandbox(root / "github", clock=clock, limits=LIMITS))
        organisation, person = hub.organisation("acme"), hub.user("alice")
        shop = await asyncio.to_thread(lambda: hub.repository("acme/shop", files=files))
        hub.grant(shop, person, "maintain")
        services = await ServiceServer.open(hub)
        for name, demo_agent in scenario.agents.items():
            think_seconds = demo_agent.think_seconds * SPEED
            if demo_agent.service is None:
                hub.agents[name] = ScriptedAgent(demo_agent.script, think_seconds=think_seconds)
                continue
            agent = services.agent(demo_agent.service, demo_agent.script, key=KEY, think_seconds=think_seconds)
            if demo_agent.crashes:
                agent.script = CrashesOnce(agent)
            if demo_agent.has_no_credit:
                agent.faults.extend(["402"] * 100)
        app = _register_app(hub)
        bot = await stack.enter_async_context(
            assemble(load_settings(_environment_variables(hub, app, root, services), env_file=None), clock)
        )
        address = await stack.enter_async_context(listening(bot))
        app.webhook_url = f"{address}/webhook"
        bot_task = asyncio.create_task(bot.run(), name="the bot")
        stack.push_async_callback(_stop, bot_task)
        await hub.install(app, organisation, [shop])
        form = IssueForm.parse(files[demo_files.FORM])
        team = parse_repository_config(files[CONFIG_PATH]).agents
        capabilities = {name: agent.capabilities for name, agent in team.items()}
        yield Environment(hub, shop, app, bot, Maintainer(hub, person, shop, form, scenario), capabilities, bot_task)


def _register_app(hub: Sandbox) -> App:
    manifest = demo_files.manifest()
    return hub.register_app(
        "mcp-orchestrator",
        secret=secrets.token_hex(32),
        permissions=manifest["default_permissions"],
        events=manifest["default_events"],
    )


def _environment_variables(hub: Sandbox, app: App, root: Path, services: ServiceServer) -> dict[str, str]:
    """What an operator would set; no DATABASE_URL, so the bot brings its own PostgreSQL."""
    urls = {f"{name.upper()}_API_URL": services.url(name) for name in services.agents}
    keys = {f"{name.upper()}_API_KEY": KEY for name in services.agents}
    return {
        **urls,
        **keys,
        "GITHUB_APP_ID": str(app.id),
        "GITHUB_PRIVATE_KEY": app.private_key,
        "GITHUB_WEBHOOK_SECRET": app.secret or "",
        "GITHUB_API_URL": hub.url,
        "GITHUB_SERVER_URL": hub.url,
        "DATA_DIR": str(root / "orchestrator"),
        "PORT": "0",
        "SCHEDULER_INTERVAL_SECONDS": str(SCHEDULER_INTERVAL * SPEED),
        "GITHUB_WRITE_INTERVAL_SECONDS": "0",
        "GITHUB_POINTS_PER_MINUTE": str(UNLIMITED),
        "GITHUB_CONTENT_PER_MINUTE": str(UNLIMITED),
    }


async def _stop(bot_task: asyncio.Task[None]) -> None:
    bot_task.cancel()
    with suppress(asyncio.CancelledError):
        await bot_task
