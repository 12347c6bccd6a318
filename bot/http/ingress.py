"""The endpoint in a process of its own, so that whoever works never keeps GitHub waiting for its answer.

The bot parts in two before anything runs. The front listens where the bot listens, keeps deliveries, and answers for
itself; what only the other can answer it hands on, over a socket that nobody else can reach. They end together: the
front when the line to the other breaks, the other when the front is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import structlog
from aiohttp import web

from adapters.database.database import Database
from bot.app import Bot
from bot.http.admission import SOON, AdmissionControl
from bot.http.heartbeat import PATH as HEARTBEAT
from bot.http.routes import METRICS, WorkerRoutes, capacity, site
from bot.http.server import listening
from config.settings import Settings
from engine.clock import CommonClock, SystemClock
from engine.senders import Identity

log = structlog.get_logger()

POOL = 4  # connections to the database: one group of deliveries is stored at a time, and what is large by itself
PATIENCE = aiohttp.ClientTimeout(total=30)  # for what is handed on
AGREE_SECONDS = 30.0  # between two looks at the database's clock
NICENESS = 5  # how much less urgent the work is than the answers, as `nice` counts


class Ingress:
    """The other process, as the one that works sees it."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        """`line` is ours of the two ends."""
        self._pid = pid
        self._line = line
        self._gone = asyncio.Event()

    @classmethod
    def parted(cls, settings: Settings) -> Ingress:
        """Part in two; only one of them returns. To be called before there is any loop, thread or connection."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        pid = os.fork()
        if pid == 0:
            ours.close()
            _live(settings, theirs)
        theirs.close()
        return cls(pid, ours)

    @asynccontextmanager
    async def listening(self, bot: Bot) -> AsyncIterator[str]:
        """It listens, while inside; gives its address. Raises OSError with the reason when it cannot."""
        reader, writer = await asyncio.open_connection(sock=self._line)
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-"))
            back = Path(folder) / "back"
            runner = web.AppRunner(bot.behind.site(), access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.UnixSite(runner, back).start()
            stack.push_async_callback(self._closed, writer)
            writer.write(_line({"database": bot.database.url, "back": str(back)}))
            told = json.loads(await reader.readline() or b'{"error": "the process that takes deliveries in has ended"}')
            if "error" in told:
                raise OSError(told["error"])
            bot.identities.on_known = lambda us: writer.write(_line({"us": asdict(us)}))
            if bot.identities.known:
                bot.identities.on_known(bot.identities.known)
            os.nice(NICENESS)
            watching = asyncio.create_task(self._watch(reader))
            stack.callback(watching.cancel)
            yield told["address"]

    async def gone(self) -> None:
        """Return when it is no more."""
        await self._gone.wait()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        await reader.read()
        self._gone.set()

    async def _closed(self, writer: asyncio.StreamWriter) -> None:
        """It answers what it has begun with, and ends."""
        writer.close()
        await asyncio.to_thread(os.waitpid, self._pid, 0)


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _live(settings: Settings, line: socket.socket) -> NoReturn:
    """The life of the front."""
    for name in (signal.SIGINT, signal.SIGTERM):  # whoever works is told, and tells us
        signal.signal(name, signal.SIG_IGN)
    status = 0
    try:
        asyncio.run(_take_in(settings, line))
    except BaseException:
        log.exception("ingress_failed")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


async def _take_in(settings: Settings, line: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=line)
    if not (first := await reader.readline()):
        return  # the other could not even begin
    told = json.loads(first)
    us: list[Identity] = []
    async with AsyncExitStack() as stack:
        database = Database(told["database"], POOL)
        stack.push_async_callback(database.close)
        clock = CommonClock(database.now, SystemClock())
        await clock.agree()
        intake = AdmissionControl(capacity(settings), beside=os.getppid())
        connector = aiohttp.UnixConnector(path=told["back"])
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=PATIENCE))
        whole = site(settings, database, clock, lambda: us[-1] if us else None, intake, _forward(http))
        try:
            listens = listening(whole, settings.host, settings.port, intake.limits)
            address = await stack.enter_async_context(listens)
        except OSError as error:
            writer.write(_line({"error": str(error)}))
            await writer.drain()
            return
        for life in (intake.watch(database), _agree(clock)):
            stack.callback(asyncio.create_task(life).cancel)
        writer.write(_line({"address": address}))
        while news := await reader.readline():
            us[:] = [Identity(**json.loads(news)["us"])]


async def _agree(clock: CommonClock) -> None:
    while True:
        await asyncio.sleep(AGREE_SECONDS)
        try:
            await clock.agree()
        except Exception as error:  # the database is away: the clock goes on as it went
            log.warning("clock_sync_failed", error=str(error))


def _forward(http: aiohttp.ClientSession) -> WorkerRoutes:
    """What the other answers, asked of it."""

    async def heartbeat(request: web.Request) -> web.StreamResponse:
        told = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        try:
            async with http.post(f"http://back{HEARTBEAT}", data=request.content, headers=told) as answer:
                kept = {name: answer.headers[name] for name in ("WWW-Authenticate",) if name in answer.headers}
                text = await answer.text()
                return web.Response(text=text, status=answer.status, content_type=answer.content_type, headers=kept)
        except (aiohttp.ClientError, TimeoutError):
            wait = {"Retry-After": str(SOON)}
            return web.json_response({"error": "the bot does not answer"}, status=503, headers=wait)

    async def page() -> bytes:
        async with http.get(f"http://back{METRICS}") as answer:
            return await answer.read()

    return WorkerRoutes(heartbeat, page)
