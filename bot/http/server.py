"""Opens the bot's listening socket and limits its connections, so that the database and git keep theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from bot.http.admission import RETRY_SOON_SECONDS, AdmissionLimits

log = structlog.get_logger()

IDLE_CHECK_SECONDS = 1.0  # between two looks at the idle connections
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_UNAVAILABLE_RESPONSE = (
    "HTTP/1.1 503 Service Unavailable\r\n"
    f"Retry-After: {RETRY_SOON_SECONDS}\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n"
    "Connection: close\r\n\r\n{text}"
)


class _RejectConnection(asyncio.Protocol):
    """A connection over the limit: it gets a response and is closed."""

    def __init__(self, limit: int) -> None:
        text = f'{{"error": "connections: {limit} are open"}}'
        self._response = _UNAVAILABLE_RESPONSE.format(length=len(text), text=text).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Respond at once, whatever the request would be."""
        if isinstance(transport, asyncio.Transport):
            transport.write(self._response)
            transport.close()


@dataclass(slots=True)
class Connections:
    """Knows which connections are idle: they have sent no complete head of a request since their last response.

    A client that opens connections and sends nothing must not keep GitHub out. So while more than half of
    the connections are in use, those that are idle for a few seconds are closed; and if all are, the one that is idle
    the longest makes room for a new one.
    """

    limits: AdmissionLimits
    _idle_since: dict[RequestHandler, float] = field(default_factory=dict)
    _busy: set[RequestHandler] = field(default_factory=set)

    def open(self, web_server: web.Server) -> asyncio.Protocol:
        """The protocol of a new connection."""
        connections = self._connected(web_server)
        if len(connections) >= self.limits.max_connections and not self._close_longest_idle(connections):
            log.warning("connection_rejected", open=self.limits.max_connections)
            return _RejectConnection(self.limits.max_connections)
        handler = web_server()
        self._idle_since[handler] = monotonic()
        return handler

    def close_idle(self, web_server: web.Server) -> None:
        """Close what is idle for too long while connections are scarce."""
        connections = self._connected(web_server)
        if 2 * len(connections) <= self.limits.max_connections:
            return
        limit = monotonic() - self.limits.scarce_idle_seconds
        for handler in connections:
            if handler not in self._busy and self._idle_since[handler] <= limit:
                handler.force_close()

    @web.middleware
    async def middleware(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Note that the connection of a request is in use; refuse a body that is compressed or otherwise encoded."""
        protocol = request.protocol
        self._busy.add(protocol)
        try:
            if "Content-Encoding" in request.headers:
                log.warning("request_encoded", path=request.path[:100], remote=request.remote)
                reason = "the body must not have a Content-Encoding: send it as it is"
                return web.json_response({"error": reason}, status=415)
            return await handler(request)
        finally:
            self._busy.discard(protocol)
            self._idle_since[protocol] = monotonic()

    async def watch(self, web_server: web.Server) -> None:
        """Close idle connections until cancelled."""
        while True:
            await asyncio.sleep(IDLE_CHECK_SECONDS)
            self.close_idle(web_server)

    def _connected(self, web_server: web.Server) -> list[RequestHandler]:
        connections = [handler for handler in web_server.connections if handler.transport is not None]
        self._idle_since = {handler: self._idle_since.get(handler, monotonic()) for handler in connections}
        return connections

    def _close_longest_idle(self, connections: list[RequestHandler]) -> bool:
        idle = [handler for handler in connections if handler not in self._busy]
        if not idle:
            return False
        min(idle, key=lambda handler: self._idle_since[handler]).force_close()
        return True


@asynccontextmanager
async def listening(application: web.Application, host: str, port: int, limits: AdmissionLimits) -> AsyncIterator[str]:
    """Run the web server of a site, while inside; returns its address (port 0: a free one).

    Raises OSError if the address cannot be used.
    """
    connections = Connections(limits)
    application.middlewares.append(connections.middleware)
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=10,
        # This library also treats a new connection as kept alive, so this closes clients that are slow with the
        # headers.
        keepalive_timeout=limits.header_timeout_seconds,
        lingering_time=limits.linger_seconds,
        auto_decompress=False,  # the limits of sizes count what was received
    )
    await runner.setup()
    try:
        async with _run_server(runner, host, port, connections) as address:
            log.info("listening", address=address)
            yield address
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _run_server(runner: web.AppRunner, host: str, port: int, connections: Connections) -> AsyncIterator[str]:
    """Run the site at this address, while inside; returns its URL. Afterwards no new connection is accepted."""
    web_server = runner.server
    if web_server is None:
        raise RuntimeError("the runner was not set up")
    server = await asyncio.get_running_loop().create_server(lambda: connections.open(web_server), host, port)
    watch_task = asyncio.create_task(connections.watch(web_server))
    try:
        bound_host, bound_port = server.sockets[0].getsockname()[:2]
        yield f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"
    finally:
        watch_task.cancel()
        server.close()
