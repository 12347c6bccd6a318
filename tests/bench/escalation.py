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
from tests.bench.environment import Place, running
from tests.bench.figure import Figure
from tests.builders import ALICE, Story

PATIENCE = 600.0  # seconds until what is not delivered counts as lost
CHANNELS = ["webhook", "slack", "email"]
_BUSY = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")


@dataclass
class Receivers:
    """A webhook and a mailbox that note when what came, and a Slack that takes everything and never answers."""

    webhook: dict[str, float] = field(default_factory=dict)  # by the title of the message
    mails: dict[str, float] = field(default_factory=dict)
    hanging: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        """The webhook."""
        self.webhook.setdefault(str((await request.json())["title"]), perf_counter())
        return web.Response()

    async def hang(self, request: web.Request) -> web.Response:
        """Slack, today."""
        self.hanging += 1
        await self.over.wait()
        return web.Response(status=503)

    async def handle_DATA(self, server: Any, session: Any, envelope: smtp.Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """The mailbox."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        subject = str(message_from_bytes(content)["Subject"])
        self.mails.setdefault(" ".join(subject.split()), perf_counter())
        return "250 OK"


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[Receivers, dict[str, str]]]:
    """The receivers, and the settings by which the bot finds them."""
    receivers = Receivers()
    application = web.Application()
    application.router.add_post("/webhook", receivers.take)
    application.router.add_post("/slack", receivers.hang)
    loop = asyncio.get_running_loop()
    post = await loop.create_server(lambda: smtp.SMTP(receivers, hostname="127.0.0.1"), "127.0.0.1", 0)
    async with TestServer(application) as server, post:
        yield (
            receivers,
            {
                "ALERT_WEBHOOK_URL": str(server.make_url("/webhook")),
                "ALERT_WEBHOOK_SECRET": "a-secret",
                "ALERT_SLACK_URL": str(server.make_url("/slack")),
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(post.sockets[0].getsockname()[1]),
                "SMTP_ENCRYPTION": "none",
                "ALERT_EMAIL_FROM": "bot@example.com",
                "ALERT_EMAIL_TO": "team@example.com",
            },
        )
        receivers.over.set()


async def worst_seconds(count: int) -> Figure:
    """Of `count` causes at the same moment: the longest way to a channel, one other channel hanging all the while."""
    agents = {"codex": {"capabilities": ["python"]}}
    async with (
        receiving() as (receivers, settings),
        running(agents, environment=settings, escalation={"fallback": ["alice"], "channels": CHANNELS}) as place,
    ):
        numbers = [(await place.alice.opens_issue(place.shop, f"Task {n}", "Later.")).number for n in range(count)]
        await place.hub.wait_until_idle()
        await _at_rest(place)
        await _made_tasks(place, numbers)
        begun, heard_at = perf_counter(), place.bot.clock.now()
        for number in numbers:
            signal = CommandReceived(number, "escalate", "The server is down.", ALICE, "write", f"bench:{number}")
            async with place.bot.work.on(place.shop.id, heard_at) as unit:
                await unit.apply(number, signal)
        async with asyncio.timeout(PATIENCE):
            while min(len(receivers.webhook), len(receivers.mails)) < count:
                await asyncio.sleep(0.05)
        ways = {"webhook": receivers.webhook, "email": receivers.mails}
        worst = {name: round(max(times.values()) - begun, 1) for name, times in ways.items()}
        how = {"causes": count, "channels": len(CHANNELS), "worst": worst, "calls_that_hung": receivers.hanging}
    return Figure("escalation_worst_seconds", max(worst.values()), "s", 60, must=300, how=how)


async def _at_rest(place: Place) -> None:
    """Until nothing is left to do."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with place.bot.database.autocommit() as connection:
                if not (await connection.execute(_BUSY)).scalar_one():
                    return
            await asyncio.sleep(0.1)


async def _made_tasks(place: Place, numbers: list[int]) -> None:
    """The issues are tasks that wait for something, so that nothing else happens to them."""
    known: Task = Story().ready().task
    async with place.bot.database.transaction() as connection:
        for number in numbers:
            task = replace(
                known,
                repository_id=place.shop.id,
                number=number,
                issue_id=number,
                title=f"Task {number}",
                waits_for=("#99999",),
                fingerprint=f"bench-{number}",
            )
            await store.save_task(connection, task, place.bot.clock.now())
