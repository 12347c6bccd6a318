"""Runs the webhook endpoint in its own process, so that busy workers never delay responses to GitHub.

The bot forks before anything runs. The ingress process listens, stores deliveries, and answers for itself; other
requests are forwarded to the worker process over a private socket. They end together: the ingress when the connection
to the worker breaks, the worker when the ingress is gone.
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
from bot.http.admission import RETRY_SOON_SECONDS, AdmissionControl
from bot.http.heartbeat import PATH as HEARTBEAT
from bot.http.routes import METRICS_PATH, WorkerRoutes, admission_limits, create_application
from bot.http.server import listening
from config.settings import Settings
from engine.clock import SyncedClock, SystemClock
from engine.senders import Identity

log = structlog.get_logger()

POOL_SIZE = 4  # connections to the database: one group of deliveries is stored at a time, and what is large by itself
FORWARD_TIMEOUT = aiohttp.ClientTimeout(total=30)  # for what is handed on
CLOCK_SYNC_SECONDS = 30.0  # between two looks at the database's clock
NICENESS = 5  # how much less urgent the work is than the answers, as `nice` counts


class Ingress:
    """The ingress process, as the worker process sees it."""

    def __init__(self, pid: int, ingress_socket: socket.socket) -> None:
        """`ingress_socket` is our end of the pair."""
        self._pid = pid
        self._socket = ingress_socket
        self._exited = asyncio.Event()

    @classmethod
    def fork(cls, settings: Settings) -> Ingress:
        """Fork; only one of the processes returns. Must be called before there is any loop, thread or connection."""
        parent_socket, child_socket = socket.socketpair()
        parent_socket.setblocking(False)
        child_socket.setblocking(False)
        pid = os.fork()
        if pid == 0:
            parent_socket.close()
            _run_ingress_process(settings, child_socket)
        child_socket.close()
        return cls(pid, parent_socket)

    @asynccontextmanager
    async def listening(self, bot: Bot) -> AsyncIterator[str]:
        """Listen, while inside; returns its address. Raises OSError with the reason if it cannot."""
        reader, writer = await asyncio.open_connection(sock=self._socket)
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-"))
            socket_path = Path(folder) / "back"
            runner = web.AppRunner(bot.worker_routes.create_application(), access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.UnixSite(runner, socket_path).start()
            stack.push_async_callback(self._wait_for_exit, writer)
            writer.write(_encode_message({"database": bot.database.url, "back": str(socket_path)}))
            response = json.loads(
                await reader.readline() or b'{"error": "the process that takes deliveries in has ended"}'
            )
            if "error" in response:
                raise OSError(response["error"])
            bot.identities.on_resolved = lambda identity: writer.write(_encode_message({"us": asdict(identity)}))
            if bot.identities.identity:
                bot.identities.on_resolved(bot.identities.identity)
            os.nice(NICENESS)
            watch_task = asyncio.create_task(self._watch(reader))
            stack.callback(watch_task.cancel)
            yield response["address"]

    async def wait_exited(self) -> None:
        """Return when the process has ended."""
        await self._exited.wait()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        await reader.read()
        self._exited.set()

    async def _wait_for_exit(self, writer: asyncio.StreamWriter) -> None:
        """It answers what it has begun with, and ends."""
        writer.close()
        await asyncio.to_thread(os.waitpid, self._pid, 0)


def _encode_message(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _run_ingress_process(settings: Settings, worker_socket: socket.socket) -> NoReturn:
    """Run the ingress process."""
    for signal_number in (signal.SIGINT, signal.SIGTERM):  # the worker gets the signal and stops this process
        signal.signal(signal_number, signal.SIG_IGN)
    status = 0
    try:
        asyncio.run(_serve_ingress(settings, worker_socket))
    except BaseException:
        log.exception("ingress_failed")
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


async def _serve_ingress(settings: Settings, worker_socket: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=worker_socket)
    if not (first_line := await reader.readline()):
        return  # the other could not even begin
    startup_message = json.loads(first_line)
    identities: list[Identity] = []
    async with AsyncExitStack() as stack:
        database = Database(startup_message["database"], POOL_SIZE)
        stack.push_async_callback(database.close)
        clock = SyncedClock(database.now, SystemClock())
        await clock.sync()
        admission = AdmissionControl(admission_limits(settings), worker_pid=os.getppid())
        connector = aiohttp.UnixConnector(path=startup_message["back"])
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=FORWARD_TIMEOUT))
        application = create_application(
            settings, database, clock, lambda: identities[-1] if identities else None, admission, _forward(http)
        )
        try:
            web_server = listening(application, settings.host, settings.port, admission.limits)
            address = await stack.enter_async_context(web_server)
        except OSError as error:
            writer.write(_encode_message({"error": str(error)}))
            await writer.drain()
            return
        for background_task in (admission.watch(database), _sync_clock(clock)):
            stack.callback(asyncio.create_task(background_task).cancel)
        writer.write(_encode_message({"address": address}))
        while message_line := await reader.readline():
            identities[:] = [Identity(**json.loads(message_line)["us"])]


async def _sync_clock(clock: SyncedClock) -> None:
    while True:
        await asyncio.sleep(CLOCK_SYNC_SECONDS)
        try:
            await clock.sync()
        except Exception as error:  # the database is away: the clock goes on as it went
            log.warning("clock_sync_failed", error=str(error))


def _forward(http: aiohttp.ClientSession) -> WorkerRoutes:
    """Forward a request to the worker and return its response."""

    async def heartbeat(request: web.Request) -> web.StreamResponse:
        request_headers = {
            name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers
        }
        try:
            async with http.post(f"http://back{HEARTBEAT}", data=request.content, headers=request_headers) as response:
                response_headers = {
                    name: response.headers[name] for name in ("WWW-Authenticate",) if name in response.headers
                }
                text = await response.text()
                return web.Response(
                    text=text, status=response.status, content_type=response.content_type, headers=response_headers
                )
        except (aiohttp.ClientError, TimeoutError):
            retry_headers = {"Retry-After": str(RETRY_SOON_SECONDS)}
            return web.json_response({"error": "the bot does not answer"}, status=503, headers=retry_headers)

    async def page() -> bytes:
        async with http.get(f"http://back{METRICS_PATH}") as response:
            return await response.read()

    return WorkerRoutes(heartbeat, page)
