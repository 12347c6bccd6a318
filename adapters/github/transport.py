"""Runs operations over HTTP: addresses, JSON, pagination, the end of long logs, GraphQL."""

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

from adapters.github.errors import UnexpectedResponse, UnknownOutcome, classify, classify_graphql
from adapters.github.http import (
    CHUNK_BYTES,
    DEFAULT_RETRY,
    DEFAULT_TIMEOUTS,
    MAX_BODY_BYTES,
    Credential,
    HttpClient,
    HttpTimeouts,
    OnCacheHit,
    OnCall,
    OnRenamed,
    Request,
    RetryPolicy,
)
from adapters.github.operation import Operation, Value
from adapters.github.rate_limiter import RateLimiter

MAX_PAGES: Final = 1000


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A successful answer: decoded JSON (None when there was no body) and the next page's address."""

    status: int
    data: object
    next_url: URL | None


class Transport:
    """The session and its rules. Use as `async with Transport(...) as transport`.

    `api_url` and `graphql_url` are given apart because GitHub Enterprise and other servers do not derive one from the
    other. `on_call(operation_id, status)` is told of every exchange, status 0 meaning no answer; `on_cache_hit(reason)`
    of every read that cost no full answer (`shared`, `unchanged`). `limiter` lets calls out; `on_renamed(owner/name)`
    is told when calls to a repository are led elsewhere for good.
    """

    def __init__(
        self,
        *,
        api_url: str,
        graphql_url: str,
        now: Callable[[], datetime],
        timeouts: HttpTimeouts = DEFAULT_TIMEOUTS,
        retry: RetryPolicy = DEFAULT_RETRY,
        on_call: OnCall | None = None,
        on_cache_hit: OnCacheHit | None = None,
        limiter: RateLimiter | None = None,
        on_renamed: OnRenamed | None = None,
        max_body: int = MAX_BODY_BYTES,
    ) -> None:
        self._api_url = _check_url("GITHUB_API_URL", api_url)
        self._graphql_url = _check_url("GITHUB_GRAPHQL_URL", graphql_url)
        self._now = now
        self._timeouts = timeouts
        self._http = HttpClient(
            trusted={self._api_url.origin(), self._graphql_url.origin()},
            now=now,
            timeouts=timeouts,
            retry=retry,
            on_call=on_call,
            on_cache_hit=on_cache_hit,
            limiter=limiter,
            on_renamed=on_renamed,
            max_body=max_body,
        )

    async def __aenter__(self) -> Self:
        self._http.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls after this raise RuntimeError."""
        await self._http.close()

    async def reserve(self, credential: Credential, *, content: bool) -> None:
        """Have the gate admit a write that is still to come; raises Throttled when it has to wait."""
        await self._http.reserve(credential, content=content)

    def release(self, credential: Credential) -> None:
        """The write that was reserved, if it is still to come, is not made."""
        self._http.release(credential)

    async def request(
        self,
        operation: Operation,
        values: Mapping[str, Value],
        credential: Credential,
        *,
        query: Mapping[str, Value] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> ApiResponse:
        """Call an operation and give its answer.

        Raises a GitHubError subclass, or ValueError for a value or key that must not be sent at all.
        """
        operation.check_keys(query or {}, body)
        url = self._url(operation.url_path(values), query or {})
        return await self._request_json(operation, url, credential, body)

    async def iterate_pages(
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
        visited: set[URL] = set()
        while url is not None:
            if url in visited or len(visited) >= MAX_PAGES:
                raise UnexpectedResponse("the list of pages does not end", operation=operation.id)
            visited.add(url)
            response = await self._request_json(operation, url, credential, None)
            items = response.data
            if operation.items is not None:
                items = items.get(operation.items) if isinstance(items, dict) else None
            if not isinstance(items, list):
                raise UnexpectedResponse("a list was expected", status=response.status, operation=operation.id)
            for item in items:
                yield item
            url = response.next_url
            if url is not None and not self._http.is_trusted(url):
                raise UnexpectedResponse(f"the next page is on another server ({url.host})", operation=operation.id)

    async def download_tail(
        self, operation: Operation, values: Mapping[str, Value], credential: Credential, max_bytes: int
    ) -> tuple[bytes, bool]:
        """Download a file that may be huge, keep its last `max_bytes` bytes; the flag tells whether some were
        cut.
        """
        is_truncated = False

        async def read(response: aiohttp.ClientResponse) -> bytes:
            nonlocal is_truncated
            buffer, total = bytearray(), 0
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                total += len(chunk)
                buffer += chunk
                if len(buffer) > 2 * max_bytes + CHUNK_BYTES:
                    del buffer[:-max_bytes]
            is_truncated = total > max_bytes
            return bytes(buffer[-max_bytes:])

        url = self._url(operation.url_path(values), {})
        http_request = Request(operation.id, "GET", url, credential, None, False, read, self._timeouts.download)
        _, body, _ = await self._http.send(http_request)
        return body, is_truncated

    async def graphql(
        self, query: str, variables: Mapping[str, object], credential: Credential, *, content: bool = True
    ) -> dict[str, object]:
        """Run a GraphQL query and give its `data`.

        Raises GraphQLError, which keeps partial data, when the answer holds `errors`; RateLimited, NotFound, Forbidden
        and the like when they say so and nothing was answered. A text with the word `mutation` counts as a write, and
        as `content` unless told otherwise.
        """
        body = json.dumps({"query": query, "variables": dict(variables)}).encode()
        is_write = re.search(r"\bmutation\b", query) is not None
        http_request = Request(
            "graphql",
            "POST",
            self._graphql_url,
            credential,
            body,
            is_write,
            self._http.read_limited,
            self._timeouts.total,
            content=is_write and content,
        )
        status, raw, _ = await self._http.send(http_request)
        payload = _decode(raw, http_request, status)
        if not isinstance(payload, dict):
            raise UnexpectedResponse("an object was expected", status=status, operation="graphql")
        errors = payload.get("errors")
        if errors:
            error_list = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
            texts = tuple(str(error.get("message", "unknown error"))[:500] for error in error_list[:20])
            if any(error.get("type") == "RATE_LIMITED" for error in error_list):
                rate_limit_error = classify(
                    429, {}, json.dumps({"message": "; ".join(texts)}).encode(), "POST", self._now()
                )
                rate_limit_error.operation = "graphql"
                raise rate_limit_error
            failure = classify_graphql(error_list, payload.get("data"))
            failure.operation = "graphql"
            raise failure
        data = payload.get("data")
        if not isinstance(data, dict):
            raise UnexpectedResponse("an answer without data", status=status, operation="graphql")
        return data

    def _url(self, path: str, query: Mapping[str, Value]) -> URL:
        text = str(self._api_url).rstrip("/") + path
        if query:
            text += "?" + urlencode(list(query.items()), quote_via=quote)
        # encoded=True: yarl must not touch our quoting (it would turn %2E%2E into a step up).
        return URL(text, encoded=True)

    async def _request_json(
        self, operation: Operation, url: URL, credential: Credential, body: Mapping[str, object] | None
    ) -> ApiResponse:
        raw = None if body is None else json.dumps(body).encode()
        http_request = Request(
            operation.id,
            operation.method,
            url,
            credential,
            raw,
            operation.is_write,
            self._http.read_limited,
            self._timeouts.total,
            content=operation.content,
            is_cacheable=operation.method == "GET",
        )
        status, content, next_url = await self._http.send(http_request)
        return ApiResponse(status, _decode(content, http_request, status), next_url)


def _decode(content: bytes, http_request: Request, status: int) -> object:
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        error_type = UnknownOutcome if http_request.is_write else UnexpectedResponse
        raise error_type("the answer is not JSON", status=status, operation=http_request.name) from error


def _check_url(setting: str, text: str) -> URL:
    try:
        url = URL(text)
        is_valid = url.scheme in {"http", "https"} and url.host and not (url.user or url.query or url.fragment)
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"{setting} must be an http(s) address such as https://api.github.com")
    return url
