"""Assembles the running bot; its parts start in order and stop in reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import aiohttp
import structlog
from aiohttp import web

from adapters.agents import Services
from adapters.database.database import Database, describe_url
from adapters.database.embedded import DataDirectoryError, EmbeddedPostgres
from adapters.database.jobs import ALERTS, GIT, MAIN, JobQueue
from adapters.database.rate_limits import DatabaseBudgetStore
from adapters.git import DiskUsage, Git, MirrorPool, check_git_version
from adapters.github import GitHubClient
from adapters.github.http import DEFAULT_RETRY, RetryPolicy
from adapters.github.rate_limiter import RateLimiter
from bot.http import server
from bot.http.admission import AdmissionControl
from bot.http.heartbeat import HeartbeatEndpoint, HeartbeatTokens
from bot.http.routes import WorkerRoutes, admission_limits, create_application
from bot.jobs import register, run_worker
from bot.metrics import Metrics
from config.agents import load_default_agents
from config.build import policy_fingerprint
from config.settings import Settings
from config.task_templates import built_in_templates
from core.clock import Clock
from core.commands.stranger_budget import StrangerLimits
from core.effects.people import CHANNELS
from core.rate_limits import RateLimits
from engine.agent_health import HealthChecks
from engine.alert_channels import configured_channels
from engine.card_state import CardStateCodec
from engine.clock import SyncedClock, SystemClock
from engine.forecasts import ForecastService
from engine.outbox import Outbox
from engine.senders import Identity
from engine.unit_of_work import UnitOfWorkFactory
from handlers import HandlerContext
from scheduler.renamed_repository import was_renamed
from scheduler.startup import discover_with_retries
from scheduler.timer import run_scheduler

log = structlog.get_logger()

AGENT_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10)  # seconds, of a call to an agent outside GitHub
MAX_IDLE_GIT_PROCESSES = 16  # that look up objects of recently used mirrors; each takes a few megabytes


class Identities:
    """The bot's own identity, read once. `on_known` is called then."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client
        self.identity: Identity | None = None
        self.on_resolved: Callable[[Identity], None] | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, installation_id: int) -> Identity:
        """Read it with this installation, unless it is known."""
        async with self._lock:
            if self.identity is None:
                app = await self._client.app.get_app()
                bot = await self._client.installation(installation_id).get_user(f"{app.slug}[bot]")
                self.identity = Identity(app.id, app.slug, bot.id)
                if self.on_resolved:
                    self.on_resolved(self.identity)
            return self.identity


@dataclass(slots=True)
class Bot:
    """All parts of one bot, created by `assemble`."""

    settings: Settings
    clock: Clock
    database: Database
    jobs: JobQueue
    client: GitHubClient
    work: UnitOfWorkFactory
    outbox: Outbox
    context: HandlerContext
    metrics: Metrics
    admission: AdmissionControl
    identities: Identities
    worker_routes: WorkerRoutes
    application: web.Application

    async def run(self) -> None:
        """Run workers and scheduler until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.admission.watch(self.database))
            group.create_task(discover_with_retries(self.work, self.client, self.clock))
            # One worker for each alert channel: a slow channel delays no other work. Git has workers of its own too.
            concurrency: dict[tuple[str, ...], int] = {
                (MAIN,): self.settings.workers,
                (ALERTS,): len(CHANNELS),
                (GIT,): self.settings.git_workers,
            }
            group.create_task(run_worker(self.jobs, concurrency))
            group.create_task(run_scheduler(self.work, self.clock, self.settings.scheduler_interval_seconds))


@asynccontextmanager
async def assemble(
    settings: Settings,
    clock: Clock | None = None,
    retry: RetryPolicy = DEFAULT_RETRY,
    connect: Callable[[str, int], Database] = Database,
) -> AsyncIterator[Bot]:
    """A bot with an up-to-date database, ready to serve and run. `connect` opens a database by URL and pool size.

    Raises `DatabaseError`, `DataDirectoryError`, `ConfigError` or `RuntimeError` (git) with a line that says what is
    wrong; nothing is left half started.
    """
    load_default_agents()  # an invalid file must stop the start, not the first delivery
    built_in_templates()  # and so must an invalid template
    git = Git(max_readers=MAX_IDLE_GIT_PROCESSES)
    await check_git_version(git)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(git.close)
        _make_data_dir(settings.data_dir)
        url = await database_url(settings, stack)
        pool_size = settings.workers + 3  # they rarely all need a connection at once
        database = connect(url, pool_size)
        stack.push_async_callback(database.close)
        await database.connect_and_migrate()
        if clock is None:
            clock = SyncedClock(database.now, SystemClock())
            if abs(offset := await clock.sync()) > timedelta(seconds=5):
                log.warning("clock_skew", seconds=round(offset.total_seconds(), 1))
        log.info("database_ready", database=describe_url(url), embedded=settings.database_url is None)
        jobs = JobQueue(url, pool_size=pool_size)
        await stack.enter_async_context(jobs.app.open_async())
        limits = _limits(settings)
        admission = AdmissionControl(admission_limits(settings))
        metrics = Metrics(limits)
        card_delay = timedelta(seconds=settings.card_debounce_seconds)
        work = UnitOfWorkFactory(database, jobs, clock.now, card_delay, policy_fingerprint(settings))
        client = GitHubClient(
            api_url=settings.github_api_url,
            graphql_url=settings.github_graphql_url,
            app_id=settings.github_app_id,
            private_key_pem=settings.github_private_key.get_secret_value(),
            now=clock.now,
            retry=retry,
            on_call=metrics.on_request,
            on_cache_hit=metrics.on_cache_hit,
            limiter=RateLimiter(DatabaseBudgetStore(database), clock, limits, metrics.on_throttled),
            on_renamed=partial(was_renamed, work),
        )
        await stack.enter_async_context(client)
        disk = DiskUsage(settings.mirror_limit_mb, settings.mirrors_limit_mb)
        mirrors = MirrorPool(settings.data_dir, settings.github_server_url, git, disk)
        forecasts = ForecastService(database, mirrors)
        identity = Identities(client)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=AGENT_TIMEOUT))
        result_secrets = settings.github_webhook_secret
        token = settings.github_user_token
        services = Services(
            http,
            settings.agent_keys,
            settings.agent_urls,
            settings.allow_internal_agent_urls,
            client.person(token) if token else None,
            result_secrets,
        )
        alerts = configured_channels(settings, http)
        codec = CardStateCodec(settings.github_app_id, settings.github_private_key.get_secret_value())
        outbox = Outbox(work, client, mirrors, services, identity, codec, forecasts, metrics.on_sent, alerts)
        health_checks = HealthChecks(client, database, services, identity, settings.github_server_url, clock.now)
        context = HandlerContext(
            work, client, identity, health_checks, forecasts, result_secrets, StrangerLimits.from_rate_limits(limits)
        )
        register(jobs, context, outbox, admission.yield_to_requests)
        heartbeat = HeartbeatEndpoint(work, client, clock, HeartbeatTokens(settings.agent_tokens), result_secrets)
        worker_routes = WorkerRoutes(heartbeat.handle, lambda: metrics.render(database, clock.now()))
        application = create_application(settings, database, clock, lambda: identity.identity, admission, worker_routes)
        yield Bot(
            settings,
            clock,
            database,
            jobs,
            client,
            work,
            outbox,
            context,
            metrics,
            admission,
            identity,
            worker_routes,
            application,
        )


def _make_data_dir(path: Path) -> None:
    """Create the data directory, or close it to other users: it has copies of private repositories."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise DataDirectoryError(f"DATA_DIR {path} cannot be created or closed to other users: {error}") from error


def _limits(settings: Settings) -> RateLimits:
    return RateLimits(
        points_per_minute=settings.github_points_per_minute,
        content_per_minute=settings.github_content_per_minute,
        content_per_hour=settings.github_content_per_hour,
        refill=settings.github_write_interval_seconds,
    )


async def database_url(settings: Settings, stack: AsyncExitStack) -> str:
    """The address of the database. The embedded server is started or joined, and released when the stack closes."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = EmbeddedPostgres(settings.data_dir)
    # Cancelling the start cannot stop the thread: the server that it starts is stopped once it runs.
    start_task = asyncio.create_task(asyncio.to_thread(server.start))

    async def stop() -> None:
        await asyncio.wait({start_task})
        if start_task.exception() is None:
            server.stop()

    stack.push_async_callback(stop)
    return await asyncio.shield(start_task)


@asynccontextmanager
async def listening(bot: Bot) -> AsyncIterator[str]:
    """Run the bot's web server in this process, while inside; returns its address."""
    settings = bot.settings
    async with server.listening(bot.application, settings.host, settings.port, bot.admission.limits) as address:
        yield address
