"""Operations over HTTP: addresses, JSON, lists of many pages, the end of long logs, GraphQL."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from adapters.github.errors import Unclear, UnexpectedAnswer, classify, classify_graphql
from adapters.github.http import (
    CHUNK,
    DEFAULT_RETRY,
    DEFAULT_TIMEOUTS,
    MAX_BODY,
    Call,
    Credential,
    Exchange,
    OnCall,
    OnMoved,
    OnSaved,
    RetryPolicy,
    Timeouts,
)
from adapters.github.operation import Operation, Value
from adapters.github.rate_limit import Gate

MAX_PAGES: Final = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: decoded JSON (None when there was no body) and the next page's address."""

    status: int
    data: object
    next_url: URL | None


class Transport:
    """The session and its rules. Use as `async with Transport(...) as transport`.

    `api_url` and `graphql_url` are given apart because GitHub Enterprise and other servers do not derive one
    from the other. `on_call(operation_id, status, seconds)` is told of every exchange, status 0 meaning no
    answer; `on_saved(how)` of every read that cost no full answer (`shared`, `unchanged`). `gate` lets calls out;
    `on_moved(owner/name)` is told when calls to a repository are led elsewhere for good.
    """

    def __init__(
        self,
        *,
        api_url: str,
        graphql_url: str,
        now: Callable[[], datetime],
        user_agent: str = "mcp-orchestrator",
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_call: OnCall | None = None,
        on_saved: OnSaved | None = None,
        gate: Gate | None = None,
        on_moved: OnMoved | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self._api_url = _checked_url("GITHUB_API_URL", api_url)
        self._graphql_url = _checked_url("GITHUB_GRAPHQL_URL", graphql_url)
        self._now = now
        self._timeouts = timeouts
        self._exchange = Exchange(
            trusted={self._api_url.origin(), self._graphql_url.origin()},
            now=now,
            user_agent=user_agent,
            timeouts=timeouts,
            retry=retry,
            on_call=on_call,
            on_saved=on_saved,
            gate=gate,
            on_moved=on_moved,
            max_body=max_body,
        )

    async def __aenter__(self) -> Self:
        self._exchange.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls after this raise RuntimeError."""
        await self._exchange.close()

    async def reserve(self, credential: Credential, *, content: bool) -> None:
        """Have the gate admit a write that is still to come; raises Throttled when it has to wait."""
        await self._exchange.reserve(credential, content=content)

    def release(self, credential: Credential) -> None:
        """The write that was reserved, if it is still to come, is not made."""
        self._exchange.release(credential)

    async def request(
        self,
        operation: Operation,
        values: Mapping[str, Value],
        credential: Credential,
        *,
        query: Mapping[str, Value] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Answer:
        """Call an operation and give its answer.

        Raises a GitHubError subclass, or ValueError for a value or key that must not be sent at all.
        """
        operation.check_keys(query or {}, body)
        url = self._url(operation.url_path(values), query or {})
        return await self._json(operation, url, credential, body)

    async def pages(
        self,
        operation: Operation,
        values: Mapping[str, Value],
        credential: Credential,
        *,
        query: Mapping[str, Value] | None = None,
    ) -> AsyncIterator[object]:
        """Yield the items of all pages of a list, following `Link: rel="next"` on our own server only."""
        operation.check_keys(query or {}, None)
        url: URL | None = self._url(operation.url_path(values), query or {})
        seen: set[URL] = set()
        while url is not None:
            if url in seen or len(seen) >= MAX_PAGES:
                raise UnexpectedAnswer("the list of pages does not end", operation=operation.id)
            seen.add(url)
            answer = await self._json(operation, url, credential, None)
            items = answer.data
            if operation.items is not None:
                items = items.get(operation.items) if isinstance(items, dict) else None
            if not isinstance(items, list):
                raise UnexpectedAnswer("a list was expected", status=answer.status, operation=operation.id)
            for item in items:
                yield item
            url = answer.next_url
            if url is not None and not self._exchange.trusts(url):
                raise UnexpectedAnswer(f"the next page is on another server ({url.host})", operation=operation.id)

    async def tail(
        self, operation: Operation, values: Mapping[str, Value], credential: Credential, max_bytes: int
    ) -> tuple[bytes, bool]:
        """Download a file that may be huge, keep its last `max_bytes` bytes; the flag tells whether some were
        cut.
        """
        cut = False

        async def read(response: aiohttp.ClientResponse) -> bytes:
            nonlocal cut
            kept, total = bytearray(), 0
            async for chunk in response.content.iter_chunked(CHUNK):
                total += len(chunk)
                kept += chunk
                if len(kept) > 2 * max_bytes + CHUNK:
                    del kept[:-max_bytes]
            cut = total > max_bytes
            return bytes(kept[-max_bytes:])

        url = self._url(operation.url_path(values), {})
        call = Call(operation.id, "GET", url, credential, None, False, read, self._timeouts.download)
        _, body, _ = await self._exchange.send(call)
        return body, cut

    async def graphql(
        self, query: str, variables: Mapping[str, object], credential: Credential, *, content: bool = True
    ) -> dict[str, object]:
        """Run a GraphQL query and give its `data`.

        Raises GraphQLError, which keeps partial data, when the answer holds `errors`; RateLimited, NotFound, Forbidden
        and the like when they say so and nothing was answered. A text with the word `mutation` counts as a write, and
        as `content` unless told otherwise.
        """
        body = json.dumps({"query": query, "variables": dict(variables)}).encode()
        writes = re.search(r"\bmutation\b", query) is not None
        call = Call(
            "graphql",
            "POST",
            self._graphql_url,
            credential,
            body,
            writes,
            self._exchange.limited,
            self._timeouts.total,
            content=writes and content,
        )
        status, raw, _ = await self._exchange.send(call)
        answer = _decode(raw, call, status)
        if not isinstance(answer, dict):
            raise UnexpectedAnswer("an object was expected", status=status, operation="graphql")
        errors = answer.get("errors")
        if errors:
            listed = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
            texts = tuple(str(error.get("message", "unknown error"))[:500] for error in listed[:20])
            if any(error.get("type") == "RATE_LIMITED" for error in listed):
                limited = classify(429, {}, json.dumps({"message": "; ".join(texts)}).encode(), "POST", self._now())
                limited.operation = "graphql"
                raise limited
            failure = classify_graphql(listed, answer.get("data"))
            failure.operation = "graphql"
            raise failure
        data = answer.get("data")
        if not isinstance(data, dict):
            raise UnexpectedAnswer("an answer without data", status=status, operation="graphql")
        return data

    def _url(self, path: str, query: Mapping[str, Value]) -> URL:
        text = str(self._api_url).rstrip("/") + path
        if query:
            text += "?" + urlencode(list(query.items()), quote_via=quote)
        # encoded=True: yarl must not touch our quoting (it would turn %2E%2E into a step up).
        return URL(text, encoded=True)

    async def _json(
        self, operation: Operation, url: URL, credential: Credential, body: Mapping[str, object] | None
    ) -> Answer:
        raw = None if body is None else json.dumps(body).encode()
        call = Call(
            operation.id,
            operation.method,
            url,
            credential,
            raw,
            operation.writes,
            self._exchange.limited,
            self._timeouts.total,
            content=operation.content,
            kept=operation.method == "GET",
        )
        status, content, next_url = await self._exchange.send(call)
        return Answer(status, _decode(content, call, status), next_url)


def _decode(content: bytes, call: Call, status: int) -> object:
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        kind = Unclear if call.writes else UnexpectedAnswer
        raise kind("the answer is not JSON", status=status, operation=call.name) from error


def _checked_url(setting: str, text: str) -> URL:
    try:
        url = URL(text)
        sound = url.scheme in {"http", "https"} and url.host and not (url.user or url.query or url.fragment)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"{setting} must be an http(s) address such as https://api.github.com")
    return url
