"""Opens the bot's listening socket with a connection limit, so that the database and git keep theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from bot.http.admission import RETRY_SOON_SECONDS, AdmissionLimits

log = structlog.get_logger()

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


@asynccontextmanager
async def run_server(runner: web.AppRunner, host: str, port: int, limits: AdmissionLimits) -> AsyncIterator[str]:
    """Run the site at this address, while inside; returns its URL. Afterwards no new connection is accepted.

    Raises OSError if the address cannot be used.
    """
    web_server = runner.server
    if web_server is None:
        raise RuntimeError("the runner was not set up")

    def make_protocol() -> asyncio.Protocol:
        if len(web_server.connections) < limits.max_connections:
            return web_server()
        log.warning("connection_rejected", open=limits.max_connections)
        return _RejectConnection(limits.max_connections)

    server = await asyncio.get_running_loop().create_server(make_protocol, host, port)
    try:
        bound_host, bound_port = server.sockets[0].getsockname()[:2]
        yield f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}"
    finally:
        server.close()


@asynccontextmanager
async def listening(application: web.Application, host: str, port: int, limits: AdmissionLimits) -> AsyncIterator[str]:
    """Run the web server of a site, while inside; returns its address (port 0: a free one).

    Raises OSError if the address cannot be used.
    """
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=10,
        # This library also treats a new connection as kept alive, so this closes clients that are slow with the
        # headers.
        keepalive_timeout=limits.header_timeout_seconds,
        lingering_time=limits.linger_seconds,
    )
    await runner.setup()
    try:
        async with run_server(runner, host, port, limits) as address:
            log.info("listening", address=address)
            yield address
    finally:
        await runner.cleanup()
