"""One exchange with GitHub: timeouts, headers, credentials, redirects, and retries of what is safe to repeat.

Reads are repeated in place a few times. A write is repeated only when it surely was not done (the connection
was never made, or the credential was refused); otherwise `Unclear` is raised and the outbox looks before it
sends again. A token goes to the configured servers only, never to a host that an answer names.
"""

from __future__ import annotations

import time
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
    Unclear,
    UnexpectedAnswer,
    classify,
)
from adapters.github.rate_limit import Gate, Passage
from adapters.github.read_cache import Answers, Flights, Kept
from adapters.github.redirects import former_name, next_place

API_VERSION: Final = "2022-11-28"
MAX_BODY: Final = 32 * 1024 * 1024
"""Bytes of one JSON answer; a page of 100 pull request files with patches stays far below."""
CHUNK: Final = 64 * 1024
_ERROR_BODY: Final = 64 * 1024
_MAX_REDIRECTS: Final = 5
_ACCEPT: Final = "application/vnd.github+json"

OnCall = Callable[[str, int, float], None]
OnSaved = Callable[[str], None]
OnMoved = Callable[[str], Awaitable[None]]
Reader = Callable[[aiohttp.ClientResponse], Awaitable[bytes]]
Reply = tuple[int, bytes, URL | None]
"""Status, body, address of the next page."""


class Credential(Protocol):
    """Who we are in a call: the App itself, or one of its installations."""

    @property
    def name(self) -> str:
        """A name for metrics, such as `app` or `installation:7`; no secret."""

    @property
    def passage(self) -> Passage | None:
        """On what errand it is used; None for who is not bound to a budget."""

    async def token(self) -> str:
        """Give a token that is valid now."""

    def forget(self, token: str) -> None:
        """Drop this token, GitHub refused it; the next `token()` gives another."""


@dataclass(frozen=True, slots=True)
class Timeouts:
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


DEFAULT_TIMEOUTS: Final = Timeouts()
DEFAULT_RETRY: Final = RetryPolicy()


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make: `name` is the operationId, `timeout` the seconds it may take as a whole.

    `content` marks what GitHub counts more closely; `kept` what may be shared with equal reads and asked for again by
    its ETag.
    """

    name: str
    method: str
    url: URL
    credential: Credential
    body: bytes | None
    writes: bool
    read: Reader
    timeout: float
    content: bool = False
    kept: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Whose read of what this is; what is accepted is the same in all."""
        return self.credential.name, str(self.url)

    @property
    def resource(self) -> str:
        """Which of GitHub's limits by the hour it counts against, before an answer has said so."""
        if self.name == "graphql":
            return "graphql"
        return "search" if self.name.startswith("search/") else "core"


class Exchange:
    """The session with GitHub's servers; `trusted` are the origins that may see a token."""

    def __init__(
        self,
        *,
        trusted: Collection[URL],
        now: Callable[[], datetime],
        user_agent: str,
        timeouts: Timeouts,
        retry: RetryPolicy,
        on_call: OnCall | None,
        on_saved: OnSaved | None,
        gate: Gate | None,
        on_moved: OnMoved | None,
        max_body: int,
    ) -> None:
        self._trusted = frozenset(trusted)
        self._now = now
        self._user_agent = user_agent
        self._timeouts = timeouts
        self._retry = retry
        self._on_call = on_call
        self._on_saved = on_saved
        self._gate = gate
        self._on_moved = on_moved
        self._answers = Answers()
        self._flights: Flights[Reply] = Flights()
        self._max_body = max_body
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Open the session; needs a running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=25),  # GitHub allows 100 requests at once, to all replicas together
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent, "X-GitHub-Api-Version": API_VERSION},
        )

    async def close(self) -> None:
        """Close the session; calls after this raise RuntimeError."""
        await self._flights.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def trusts(self, url: URL) -> bool:
        """Whether a token may be sent to this address."""
        return url.origin() in self._trusted

    async def reserve(self, credential: Credential, *, content: bool) -> None:
        """Have the gate admit a write that is still to come; raises Throttled when it has to wait."""
        if self._gate and credential.passage:
            await self._gate.reserve(credential.name, credential.passage, content=content)

    def release(self, credential: Credential) -> None:
        """The write that was reserved, if it is still to come, is not made."""
        if self._gate and credential.passage:
            self._gate.release(credential.name, credential.passage)

    async def send(self, call: Call) -> Reply:
        """Make the call; raises a GitHubError subclass for anything but a success."""
        if not call.kept:
            return await self._send(call)
        # What one lane has to wait for another may do at once.
        passage = call.credential.passage
        equal = (*call.key, passage.lane if passage else None)
        reply, shared = await self._flights.share(equal, lambda: self._send(call))
        if shared:
            self._saved("shared")
        return reply

    def _saved(self, how: str) -> None:
        if self._on_saved is not None:
            self._on_saved(how)

    async def _send(self, call: Call) -> Reply:
        policy = self._retry
        async for attempt in stamina.retry_context(
            # Only its own failures: those of a token's request have been retried there already.
            on=lambda error: isinstance(error, Transient) and error.operation == call.name,
            attempts=policy.attempts,
            timeout=None,
            wait_initial=policy.wait_initial,
            wait_max=policy.wait_max,
            wait_jitter=policy.wait_jitter,
        ):
            with attempt:
                try:
                    return await self._authorised(call)
                except GitHubError as error:
                    error.operation = error.operation or call.name
                    raise
        raise AssertionError("stamina gives at least one attempt")

    async def _authorised(self, call: Call) -> Reply:
        token = await call.credential.token()
        try:
            return await self._timed(call, token)
        except Unauthorised:
            # Nothing was done, so repeating is safe for writes too. A token can die early: the App's
            # permissions were changed, the installation was suspended and resumed, or the clocks disagree.
            call.credential.forget(token)
            return await self._timed(call, await call.credential.token())

    async def _timed(self, call: Call, token: str) -> Reply:
        passage = call.credential.passage
        if self._gate and passage:
            sender = call.credential.name
            await self._gate.enter(sender, passage, call.resource, writes=call.writes, content=call.content)
            passage.writes += call.writes
        started = time.perf_counter()
        status = 0
        try:
            status, body, next_url = await self._exchange(call, token)
        except GitHubError as error:
            status = error.status
            if isinstance(error, RateLimited) and error.secondary and self._gate and passage:
                await self._gate.refused(call.credential.name, error.retry_at)
            raise
        finally:
            if self._on_call is not None:
                self._on_call(call.name, status, time.perf_counter() - started)
        return status, body, next_url

    async def _exchange(self, call: Call, token: str) -> Reply:
        lost: type[GitHubError] = Unclear if call.writes else Transient
        try:
            return await self._follow(call, token)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Never connected, so never asked: safe to repeat even a write.
            raise Transient(f"no connection ({type(error).__name__})") from error
        except TimeoutError as error:
            raise lost(f"no answer within {call.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise lost(f"the connection broke ({type(error).__name__})") from error

    async def _follow(self, call: Call, token: str) -> Reply:
        if self._session is None:
            raise RuntimeError("the transport is closed; use it inside `async with`")
        url = call.url
        timeout = aiohttp.ClientTimeout(
            total=call.timeout, connect=self._timeouts.connect, sock_connect=self._timeouts.connect
        )
        kept = self._answers.get(call.key) if call.kept else None
        for hop in range(_MAX_REDIRECTS + 1):
            headers = {"Accept": _ACCEPT}
            if kept is not None:
                headers["If-None-Match"] = kept.etag
            if hop and self._gate and call.credential.passage and self.trusts(url):
                self._gate.spent(call.credential.name, writes=call.writes)
            if self.trusts(url):
                headers["Authorization"] = f"Bearer {token}"
            if call.body is not None:
                headers["Content-Type"] = "application/json"
            async with self._session.request(
                call.method, url, headers=headers, data=call.body, timeout=timeout, allow_redirects=False
            ) as response:
                self._note_budget(call, response)
                if response.status == 304 and kept is not None:
                    self._saved("unchanged")
                    return 304, kept.body, kept.next_url
                target = next_place(call.method, url, response.status, response.headers.get("Location"), self._trusted)
                if target is None:
                    return await self._finish(call, response)
                former = former_name(call.url, response.status)
                if hop == 0 and former is not None and self._on_moved is not None:
                    await self._on_moved(former)
                url = target
        raise UnexpectedAnswer("too many redirects")

    async def _finish(self, call: Call, response: aiohttp.ClientResponse) -> Reply:
        if not 200 <= response.status < 300:
            body = await _beginning(response, _ERROR_BODY)
            method = call.method if call.writes else "GET"  # a GraphQL query is a POST that changes nothing
            raise classify(response.status, response.headers, body, method, self._now())
        body = await call.read(response)
        try:
            following = response.links.get("next")
        except ValueError as error:
            raise UnexpectedAnswer("a broken Link header", status=response.status) from error
        next_url = following.get("url") if following is not None else None
        reply = response.status, body, next_url if isinstance(next_url, URL) else None
        etag = response.headers.get("ETag")
        if call.kept and etag and response.status == 200:
            self._answers.keep(call.key, Kept(etag, body, reply[2]))
        return reply

    async def limited(self, response: aiohttp.ClientResponse) -> bytes:
        """Read a whole body, TooLarge above the limit."""
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            body += chunk
            if len(body) > self._max_body:
                raise TooLarge(f"the answer is larger than {self._max_body} bytes", status=response.status)
        return bytes(body)

    def _note_budget(self, call: Call, response: aiohttp.ClientResponse) -> None:
        if self._gate is None or call.credential.passage is None or not self.trusts(response.url):
            return
        head = {key.lower(): value for key, value in response.headers.items()}
        try:
            rate = RateLimit.from_http(head)
        except (ValueError, OverflowError, OSError):
            return  # senseless numbers: the next answer has others
        if rate is not None:
            resource = head.get("x-ratelimit-resource", call.resource)[:40]
            self._gate.heard(call.credential.name, resource, rate.limit, rate.remaining, rate.reset_datetime)


async def _beginning(response: aiohttp.ClientResponse, limit: int) -> bytes:
    kept = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        kept += chunk
        if len(kept) >= limit:
            break
    return bytes(kept[:limit])
