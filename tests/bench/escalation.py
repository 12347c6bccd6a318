"""Calls for people in bulk: how long until each is delivered, while one channel hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from time import perf_counter
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd import smtp
from sqlalchemy import text

from adapters.database import store
from core.signals.base import CommandReceived
from core.task.model import Task
from tests.bench.environment import Environment, open_environment
from tests.bench.figure import Figure
from tests.builders import ALICE, Story

TIMEOUT_SECONDS = 600.0  # seconds until what is not delivered counts as lost
CHANNELS = ["webhook", "slack", "email"]
_BUSY_COUNT = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")


@dataclass
class Receivers:
    """A webhook and a mailbox that note when what came, and a Slack that takes everything and never answers."""

    webhook_times: dict[str, float] = field(default_factory=dict)  # by the title of the message
    mail_times: dict[str, float] = field(default_factory=dict)
    hanging_count: int = 0
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_webhook(self, request: web.Request) -> web.Response:
        """The webhook."""
        self.webhook_times.setdefault(str((await request.json())["title"]), perf_counter())
        return web.Response()

    async def on_slack(self, request: web.Request) -> web.Response:
        """Slack, today."""
        self.hanging_count += 1
        await self.finished.wait()
        return web.Response(status=503)

    async def handle_DATA(self, server: Any, session: Any, envelope: smtp.Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """The mailbox."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        subject = str(message_from_bytes(content)["Subject"])
        self.mail_times.setdefault(" ".join(subject.split()), perf_counter())
        return "250 OK"


@asynccontextmanager
async def open_receivers() -> AsyncIterator[tuple[Receivers, dict[str, str]]]:
    """The receivers, and the settings by which the bot finds them."""
    receivers = Receivers()
    application = web.Application()
    application.router.add_post("/webhook", receivers.on_webhook)
    application.router.add_post("/slack", receivers.on_slack)
    loop = asyncio.get_running_loop()
    smtp_server = await loop.create_server(lambda: smtp.SMTP(receivers, hostname="127.0.0.1"), "127.0.0.1", 0)
    async with TestServer(application) as server, smtp_server:
        yield (
            receivers,
            {
                "ALERT_WEBHOOK_URL": str(server.make_url("/webhook")),
                "ALERT_WEBHOOK_SECRET": "a-secret",
                "ALERT_SLACK_URL": str(server.make_url("/slack")),
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(smtp_server.sockets[0].getsockname()[1]),
                "SMTP_ENCRYPTION": "none",
                "ALERT_EMAIL_FROM": "bot@example.com",
                "ALERT_EMAIL_TO": "team@example.com",
            },
        )
        receivers.finished.set()


async def measure_worst_delivery(count: int) -> Figure:
    """Of `count` causes at the same moment: the longest way to a channel, one other channel hanging all the while."""
    agents = {"codex": {"capabilities": ["python"]}}
    async with (
        open_receivers() as (receivers, settings),
        open_environment(
            agents, environment=settings, escalation={"fallback": ["alice"], "channels": CHANNELS}
        ) as environment,
    ):
        numbers = [
            (await environment.alice.opens_issue(environment.shop, f"Task {index}", "Later.")).number
            for index in range(count)
        ]
        await environment.hub.wait_until_idle()
        await _wait_until_idle(environment)
        await _save_waiting_tasks(environment, numbers)
        started_at, received_at = perf_counter(), environment.bot.clock.now()
        for number in numbers:
            signal = CommandReceived(number, "escalate", "The server is down.", ALICE, "write", f"bench:{number}")
            async with environment.bot.work.begin(environment.shop.id, received_at) as unit:
                await unit.apply(number, signal)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while min(len(receivers.webhook_times), len(receivers.mail_times)) < count:
                await asyncio.sleep(0.05)
        times_by_channel = {"webhook": receivers.webhook_times, "email": receivers.mail_times}
        worst_by_channel = {
            name: round(max(times.values()) - started_at, 1) for name, times in times_by_channel.items()
        }
        details = {
            "causes": count,
            "channels": len(CHANNELS),
            "worst": worst_by_channel,
            "calls_that_hung": receivers.hanging_count,
        }
    return Figure("escalation_worst_seconds", max(worst_by_channel.values()), "s", 60, hard_limit=300, details=details)


async def _wait_until_idle(environment: Environment) -> None:
    """Until nothing is left to do."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            async with environment.bot.database.autocommit() as connection:
                if not (await connection.execute(_BUSY_COUNT)).scalar_one():
                    return
            await asyncio.sleep(0.1)


async def _save_waiting_tasks(environment: Environment, numbers: list[int]) -> None:
    """The issues are tasks that wait for something, so that nothing else happens to them."""
    template_task: Task = Story().file_ready_task().task
    async with environment.bot.database.transaction() as connection:
        for number in numbers:
            task = replace(
                template_task,
                repository_id=environment.shop.id,
                number=number,
                issue_id=number,
                title=f"Task {number}",
                open_dependencies=("#99999",),
                fingerprint=f"bench-{number}",
            )
            await store.save_task(connection, task, environment.bot.clock.now())
