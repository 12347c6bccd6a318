"""What the bot answers over HTTP: deliveries, heartbeats of agents, and the questions of its operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from adapters.database.database import Database
from bot.http.admission import AdmissionControl, AdmissionLimits
from bot.http.delivery_writer import DeliveryWriter
from bot.http.health import Health
from bot.http.heartbeat import PATH as HEARTBEAT
from bot.http.metrics import IntakeMetrics
from bot.http.webhook import MAX_BODY, WebhookEndpoint
from config.settings import Settings
from core.clock import Clock
from engine.senders import Identity

METRICS = "/metrics"
_PLAIN = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus's text format
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class WorkerRoutes:
    """What whoever works answers: heartbeats, and its part of the metrics."""

    heartbeat: Handler
    page: Callable[[], Awaitable[bytes]]

    def site(self) -> web.Application:
        """That alone, for a front that takes the rest."""
        application = web.Application()
        application.router.add_post(HEARTBEAT, self.heartbeat)
        application.router.add_get(METRICS, _page(self.page))
        return application


def site(
    settings: Settings,
    database: Database,
    clock: Clock,
    us: Callable[[], Identity | None],
    intake: AdmissionControl,
    behind: WorkerRoutes,
) -> web.Application:
    """All of it. `us` tells who we are, once that is known."""
    counts = IntakeMetrics(intake)
    secrets = [secret.get_secret_value() for secret in settings.github_webhook_secret]
    webhook = WebhookEndpoint(DeliveryWriter(database, intake).keep, clock, secrets, counts, us, intake)
    health = Health(database, clock, intake)

    async def page() -> bytes:
        return counts.text() + await behind.page()

    application = web.Application(client_max_size=MAX_BODY)
    application.router.add_post("/webhook", webhook.handle)
    application.router.add_post(HEARTBEAT, behind.heartbeat)
    application.router.add_get("/healthz", health.healthz)
    application.router.add_get("/readyz", health.readyz)
    application.router.add_get(METRICS, _page(page))
    return application


def _page(text: Callable[[], Awaitable[bytes]]) -> Handler:
    async def shown(_: web.Request) -> web.StreamResponse:
        return web.Response(body=await text(), headers={"Content-Type": _PLAIN})

    return shown


def capacity(settings: Settings) -> AdmissionLimits:
    """How much is taken in at the same time."""
    return AdmissionLimits(
        memory_mb=settings.memory_limit_mb,
        waiting=settings.max_queued_deliveries,
        requests=settings.max_concurrent_requests,
        body_mb=settings.max_buffered_body_mb,
        connections=settings.max_connections,
        header_timeout_seconds=settings.header_timeout_seconds,
        body_timeout_seconds=settings.body_timeout_seconds,
    )
