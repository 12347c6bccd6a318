"""Defines the bot's HTTP routes: deliveries, heartbeats, health and metrics."""

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

METRICS_PATH = "/metrics"
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus's text format
RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class WorkerRoutes:
    """The routes of the worker process: heartbeats, and its part of the metrics."""

    heartbeat: RequestHandler
    metrics_page: Callable[[], Awaitable[bytes]]

    def create_application(self) -> web.Application:
        """The application with these routes only, for use behind an ingress."""
        application = web.Application()
        application.router.add_post(HEARTBEAT, self.heartbeat)
        application.router.add_get(METRICS_PATH, _metrics_handler(self.metrics_page))
        return application


def create_application(
    settings: Settings,
    database: Database,
    clock: Clock,
    identity: Callable[[], Identity | None],
    admission: AdmissionControl,
    worker_routes: WorkerRoutes,
) -> web.Application:
    """The complete application. `identity` returns the bot's identity once it is known."""
    intake_metrics = IntakeMetrics(admission)
    secrets = [secret.get_secret_value() for secret in settings.github_webhook_secret]
    webhook = WebhookEndpoint(
        DeliveryWriter(database, admission).write, clock, secrets, intake_metrics, identity, admission
    )
    health = Health(database, clock, admission)

    async def metrics_page() -> bytes:
        return intake_metrics.render() + await worker_routes.metrics_page()

    application = web.Application(client_max_size=MAX_BODY)
    application.router.add_post("/webhook", webhook.handle)
    application.router.add_post(HEARTBEAT, worker_routes.heartbeat)
    application.router.add_get("/healthz", health.healthz)
    application.router.add_get("/readyz", health.readyz)
    application.router.add_get(METRICS_PATH, _metrics_handler(metrics_page))
    return application


def _metrics_handler(render_metrics: Callable[[], Awaitable[bytes]]) -> RequestHandler:
    async def metrics_response(_: web.Request) -> web.StreamResponse:
        return web.Response(body=await render_metrics(), headers={"Content-Type": _CONTENT_TYPE})

    return metrics_response


def admission_limits(settings: Settings) -> AdmissionLimits:
    """How much is accepted at the same time."""
    return AdmissionLimits(
        memory_mb=settings.memory_limit_mb,
        max_queued_deliveries=settings.max_queued_deliveries,
        max_concurrent_requests=settings.max_concurrent_requests,
        max_buffered_body_mb=settings.max_buffered_body_mb,
        max_connections=settings.max_connections,
        header_timeout_seconds=settings.header_timeout_seconds,
        body_timeout_seconds=settings.body_timeout_seconds,
    )
