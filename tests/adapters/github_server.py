"""A small server that answers what a test tells it to, and a client turned towards it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.github import GitHubClient
from adapters.github.http import HttpTimeouts, RetryPolicy
from adapters.github.rate_limiter import RateLimiter

NO_WAIT = RetryPolicy(attempts=3, wait_initial=0, wait_max=0, wait_jitter=0)
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
INSTALLATION = 7

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Clock:
    """A clock that tests turn by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, duration: timedelta) -> None:
        self.now += duration


@dataclass(slots=True)
class ReceivedRequest:
    """A request as the server saw it; `path` is what stood on the wire, with its quoting."""

    method: str
    path: str
    authorization: str | None
    body: object
    headers: dict[str, str]


@dataclass(slots=True)
class FakeServer:
    """Answers with the handler that the test sets; makes installation tokens by itself."""

    clock: Clock = field(default_factory=Clock)
    handler: Handler | None = None
    requests: list[ReceivedRequest] = field(default_factory=list)
    tokens: int = 0
    calls: list[tuple[str, int]] = field(default_factory=list)
    cache_hits: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path.endswith("/access_tokens") and self.handler is None:
            raise AssertionError("set a handler first")
        self.requests.append(
            ReceivedRequest(
                request.method,
                request.raw_path,
                request.headers.get("Authorization"),
                json.loads(body) if body else None,
                dict(request.headers),
            )
        )
        if request.path == f"/api/app/installations/{INSTALLATION}/access_tokens":
            return self.new_token()
        assert self.handler is not None
        return await self.handler(request)

    def new_token(self) -> web.Response:
        self.tokens += 1
        expires = (self.clock() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.json_response({"token": f"ghs_{self.tokens}", "expires_at": expires}, status=201)

    @property
    def api_requests(self) -> list[ReceivedRequest]:
        """What was asked apart from tokens."""
        return [request for request in self.requests if not request.path.endswith("/access_tokens")]


def respond_with(payload: object = None, status: int = 200, **headers: str) -> Handler:
    """A handler that always gives this answer."""
    return respond_in_turn((status, payload, headers), repeat_first=True)


def respond_in_turn(*responses: tuple[int, object, dict[str, str]], repeat_first: bool = False) -> Handler:
    """A handler that gives one answer after the other."""
    remaining = list(responses)

    async def handler(request: web.Request) -> web.Response:
        status, data, headers = remaining[0] if repeat_first else remaining.pop(0)
        http_headers = {key.replace("_", "-"): value for key, value in headers.items()}
        if data is None:
            return web.Response(status=status, headers=http_headers)
        return web.json_response(data, status=status, headers=http_headers)

    return handler


@asynccontextmanager
async def github_server(
    timeouts: HttpTimeouts = HttpTimeouts(),  # noqa: B008 - a frozen value
    gate: RateLimiter | None = None,
) -> AsyncIterator[tuple[FakeServer, GitHubClient]]:
    """A server and a client of it, whose retries do not wait."""
    server = FakeServer()
    app = web.Application()
    app.router.add_route("*", r"/{tail:[\s\S]*}", server.answer)
    async with TestServer(app) as running:
        server.url = str(running.make_url("")).rstrip("/")
        async with GitHubClient(
            api_url=f"{server.url}/api",
            graphql_url=f"{server.url}/graphql",
            app_id=42,
            private_key_pem=private_key(),
            now=server.clock,
            timeouts=timeouts,
            retry=NO_WAIT,
            on_call=lambda operation, status: server.calls.append((operation, status)),
            on_cache_hit=server.cache_hits.append,
            limiter=gate,
        ) as client:
            yield server, client


def issue(number: int = 1, **more: object) -> dict[str, object]:
    return {
        "id": 1000 + number,
        "number": number,
        "title": "A task",
        "state": "open",
        "html_url": f"https://github.com/acme/shop/issues/{number}",
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00.123Z",
        **more,
    }


def comment(comment_id: int = 5) -> dict[str, object]:
    return {
        "id": comment_id,
        "body": "hello",
        "html_url": "https://github.com/acme/shop/issues/1#issuecomment-5",
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
    }
