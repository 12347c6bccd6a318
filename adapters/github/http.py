"""Makes one request to GitHub: timeouts, headers, credentials, redirects, and safe retries.

Reads are repeated in place a few times. A write is repeated only if it was certainly not done (the connection was never
made, or the credential was refused); otherwise `UnknownOutcome` is raised and the outbox looks before it sends again. A
token is sent to the configured servers only, never to a host that a response names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import aiohttp
import stamina
from gidgethub.sansio import RateLimit
from yarl import URL

from adapters.github.errors import (
    GitHubError,
    RateLimited,
    TooLarge,
    Transient,
    Unauthorised,
    UnexpectedResponse,
    UnknownOutcome,
    classify,
)
from adapters.github.rate_limit import RateLimitContext
from adapters.github.rate_limiter import RateLimiter
from adapters.github.read_cache import CacheEntry, RequestCoalescer, ResponseCache
from adapters.github.redirects import old_repository_name, redirect_target

API_VERSION: Final = "2022-11-28"
MAX_BODY_BYTES: Final = 32 * 1024 * 1024
"""Bytes of one JSON answer; a page of 100 pull request files with patches stays far below."""
CHUNK_BYTES: Final = 64 * 1024
_MAX_ERROR_BODY_BYTES: Final = 64 * 1024
_MAX_REDIRECTS: Final = 5
_ACCEPT: Final = "application/vnd.github+json"

OnCall = Callable[[str, int], None]
OnCacheHit = Callable[[str], None]
OnRenamed = Callable[[str], Awaitable[None]]
Reader = Callable[[aiohttp.ClientResponse], Awaitable[bytes]]
Reply = tuple[int, bytes, URL | None]
"""Status, body, address of the next page."""


class Credential(Protocol):
    """Who we are in a call: the App itself, or one of its installations."""

    @property
    def name(self) -> str:
        """A name for metrics, such as `app` or `installation:7`; no secret."""

    @property
    def context(self) -> RateLimitContext | None:
        """On what errand it is used; None for who is not bound to a budget."""

    async def token(self) -> str:
        """Return a token that is valid now."""

    def discard(self, token: str) -> None:
        """Drop this token, GitHub refused it; the next `token()` gives another."""


@dataclass(frozen=True, slots=True)
class HttpTimeouts:
    """Seconds: to get a connection, for a whole call, and for a whole download of a log."""

    connect: float = 10.0
    total: float = 30.0
    download: float = 120.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a safe call is tried in all, and the seconds between tries (doubling up to `wait_max`)."""

    attempts: int = 3
    wait_initial: float = 0.2
    wait_max: float = 2.0
    wait_jitter: float = 0.2


DEFAULT_TIMEOUTS: Final = HttpTimeouts()
DEFAULT_RETRY: Final = RetryPolicy()


@dataclass(frozen=True, slots=True)
class Request:
    """One request to make: `name` is the operationId, `timeout` the seconds it may take as a whole.

    `content` marks what GitHub counts more closely; `kept` what may be shared with equal reads and asked for again by
    its ETag.
    """

    name: str
    method: str
    url: URL
    credential: Credential
    body: bytes | None
    is_write: bool
    read_body: Reader
    timeout: float
    content: bool = False
    is_cacheable: bool = False

    @property
    def cache_key(self) -> tuple[str, str]:
        """Whose read of what this is; what is accepted is the same in all."""
        return self.credential.name, str(self.url)

    @property
    def resource(self) -> str:
        """Which of GitHub's limits by the hour it counts against, before an answer has said so."""
        if self.name == "graphql":
            return "graphql"
        return "search" if self.name.startswith("search/") else "core"


class HttpClient:
    """The session with GitHub's servers; `trusted` are the origins that may see a token."""

    def __init__(
        self,
        *,
        trusted: Collection[URL],
        now: Callable[[], datetime],
        timeouts: HttpTimeouts,
        retry: RetryPolicy,
        on_call: OnCall | None,
        on_cache_hit: OnCacheHit | None,
        limiter: RateLimiter | None,
        on_renamed: OnRenamed | None,
        max_body: int,
    ) -> None:
        self._trusted = frozenset(trusted)
        self._now = now
        self._timeouts = timeouts
        self._retry = retry
        self._on_call = on_call
        self._on_cache_hit = on_cache_hit
        self._limiter = limiter
        self._on_renamed = on_renamed
        self._cache = ResponseCache()
        self._coalescer: RequestCoalescer[Reply] = RequestCoalescer()
        self._max_body = max_body
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Open the session; needs a running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=25),  # GitHub allows 100 requests at once, to all replicas together
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "mcp-orchestrator", "X-GitHub-Api-Version": API_VERSION},
        )

    async def close(self) -> None:
        """Close the session; calls after this raise RuntimeError."""
        await self._coalescer.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def is_trusted(self, url: URL) -> bool:
        """Whether a token may be sent to this address."""
        return url.origin() in self._trusted

    async def reserve(self, credential: Credential, *, content: bool) -> None:
        """Have the gate admit a write that is still to come; raises Throttled when it has to wait."""
        if self._limiter and credential.context:
            await self._limiter.reserve(credential.name, credential.context, content=content)

    def release(self, credential: Credential) -> None:
        """The write that was reserved, if it is still to come, is not made."""
        if self._limiter and credential.context:
            self._limiter.release(credential.name, credential.context)

    async def send(self, request: Request) -> Reply:
        """Make the call; raises a GitHubError subclass for anything but a success."""
        if not request.is_cacheable:
            return await self._send_retried(request)
        # What one lane has to wait for another may do at once.
        context = request.credential.context
        key = (*request.cache_key, context.priority if context else None)
        reply, is_shared = await self._coalescer.share(key, lambda: self._send_retried(request))
        if is_shared:
            self._count_cache_hit("shared")
        return reply

    def _count_cache_hit(self, kind: str) -> None:
        if self._on_cache_hit is not None:
            self._on_cache_hit(kind)

    async def _send_retried(self, request: Request) -> Reply:
        policy = self._retry
        async for attempt in stamina.retry_context(
            # Only its own failures: those of a token's request have been retried there already.
            on=lambda error: isinstance(error, Transient) and error.operation == request.name,
            attempts=policy.attempts,
            timeout=None,
            wait_initial=policy.wait_initial,
            wait_max=policy.wait_max,
            wait_jitter=policy.wait_jitter,
        ):
            with attempt:
                try:
                    return await self._send_authorised(request)
                except GitHubError as error:
                    error.operation = error.operation or request.name
                    raise
        raise AssertionError("stamina gives at least one attempt")

    async def _send_authorised(self, request: Request) -> Reply:
        token = await request.credential.token()
        try:
            return await self._send_timed(request, token)
        except Unauthorised:
            # Nothing was done, so repeating is safe for writes too. A token can die early: the App's
            # permissions were changed, the installation was suspended and resumed, or the clocks disagree.
            request.credential.discard(token)
            return await self._send_timed(request, await request.credential.token())

    async def _send_timed(self, request: Request, token: str) -> Reply:
        context = request.credential.context
        if self._limiter and context:
            sender = request.credential.name
            await self._limiter.acquire(
                sender, context, request.resource, is_write=request.is_write, content=request.content
            )
            context.write_count += request.is_write
        status = 0
        try:
            status, body, next_url = await self._send_once(request, token)
        except GitHubError as error:
            status = error.status
            if isinstance(error, RateLimited) and error.secondary and self._limiter and context:
                await self._limiter.block_until(request.credential.name, error.retry_at)
            raise
        finally:
            if self._on_call is not None:
                self._on_call(request.name, status)
        return status, body, next_url

    async def _send_once(self, request: Request, token: str) -> Reply:
        error_type: type[GitHubError] = UnknownOutcome if request.is_write else Transient
        try:
            return await self._follow_redirects(request, token)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Never connected, so never asked: safe to repeat even a write.
            raise Transient(f"no connection ({type(error).__name__})") from error
        except TimeoutError as error:
            raise error_type(f"no answer within {request.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise error_type(f"the connection broke ({type(error).__name__})") from error

    async def _follow_redirects(self, request: Request, token: str) -> Reply:
        if self._session is None:
            raise RuntimeError("the transport is closed; use it inside `async with`")
        url = request.url
        timeout = aiohttp.ClientTimeout(
            total=request.timeout, connect=self._timeouts.connect, sock_connect=self._timeouts.connect
        )
        cached = self._cache.get(request.cache_key) if request.is_cacheable else None
        for hop in range(_MAX_REDIRECTS + 1):
            headers = {"Accept": _ACCEPT}
            if cached is not None:
                headers["If-None-Match"] = cached.etag
            if hop and self._limiter and request.credential.context and self.is_trusted(url):
                self._limiter.count_request(request.credential.name, is_write=request.is_write)
            if self.is_trusted(url):
                headers["Authorization"] = f"Bearer {token}"
            if request.body is not None:
                headers["Content-Type"] = "application/json"
            async with self._session.request(
                request.method, url, headers=headers, data=request.body, timeout=timeout, allow_redirects=False
            ) as response:
                self._report_rate_limit(request, response)
                if response.status == 304 and cached is not None:
                    self._count_cache_hit("unchanged")
                    return 304, cached.body, cached.next_url
                target = redirect_target(
                    request.method, url, response.status, response.headers.get("Location"), self._trusted
                )
                if target is None:
                    return await self._read_response(request, response)
                old_name = old_repository_name(request.url, response.status)
                if hop == 0 and old_name is not None and self._on_renamed is not None:
                    await self._on_renamed(old_name)
                url = target
        raise UnexpectedResponse("too many redirects")

    async def _read_response(self, request: Request, response: aiohttp.ClientResponse) -> Reply:
        if not 200 <= response.status < 300:
            body = await _read_prefix(response, _MAX_ERROR_BODY_BYTES)
            method = request.method if request.is_write else "GET"  # a GraphQL query is a POST that changes nothing
            raise classify(response.status, response.headers, body, method, self._now())
        body = await request.read_body(response)
        try:
            next_link = response.links.get("next")
        except ValueError as error:
            raise UnexpectedResponse("a broken Link header", status=response.status) from error
        next_url = next_link.get("url") if next_link is not None else None
        reply = response.status, body, next_url if isinstance(next_url, URL) else None
        etag = response.headers.get("ETag")
        if request.is_cacheable and etag and response.status == 200:
            self._cache.put(request.cache_key, CacheEntry(etag, body, reply[2]))
        return reply

    async def read_limited(self, response: aiohttp.ClientResponse) -> bytes:
        """Read a whole body, TooLarge above the limit."""
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_body:
                raise TooLarge(f"the answer is larger than {self._max_body} bytes", status=response.status)
        return bytes(body)

    def _report_rate_limit(self, request: Request, response: aiohttp.ClientResponse) -> None:
        if self._limiter is None or request.credential.context is None or not self.is_trusted(response.url):
            return
        headers = {key.lower(): value for key, value in response.headers.items()}
        try:
            rate_limit = RateLimit.from_http(headers)
        except (ValueError, OverflowError, OSError):
            return  # senseless numbers: the next answer has others
        if rate_limit is not None:
            resource = headers.get("x-ratelimit-resource", request.resource)[:40]
            self._limiter.update_limit(
                request.credential.name, resource, rate_limit.limit, rate_limit.remaining, rate_limit.reset_datetime
            )


async def _read_prefix(response: aiohttp.ClientResponse, limit: int) -> bytes:
    buffer = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        buffer += chunk
        if len(buffer) >= limit:
            break
    return bytes(buffer[:limit])
