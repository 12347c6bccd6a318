"""Calls an agent's service: bounded, without redirects, and with readable refusals.

What a service returns is as hostile as any text from outside. The key is the operator's: it is sent to the one address
that the operator set for it, and appears in no error and no log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from adapters.agents.base import CannotStart, Unavailable
from core.text_safety.sanitize import mask_secrets, one_line

MAX_RESPONSE_BYTES: Final = 2 * 1024 * 1024  # bytes; a list of a hundred sessions is a tenth of that
MAX_WAIT: Final = timedelta(days=1)  # the longest `Retry-After` that is believed

# How services say with a 400 or 403 that the credit or quota is used up, and not that the request is wrong.
_OUT_OF_CREDIT: Final = re.compile(
    r"out.of.(?:credit|quota)|(?:usage|spend(?:ing)?|rate|session).limit|quota|payment|billing|"
    r"insufficient.(?:credit|fund|balance)|RESOURCE_EXHAUSTED",
    re.IGNORECASE,
)
_RATE_LIMIT_TEXT: Final = re.compile(r"rate.limit|too many requests", re.IGNORECASE)


class NoResponse(ConnectionError):
    """No clear response: the request may have been carried out or not. The outbox tries again and looks first."""


class RateLimited(Unavailable):
    """Too many requests."""


class NotFound(LookupError):
    """The service does not know the requested object."""


@dataclass(frozen=True, slots=True)
class ServiceClient:
    """One service at one address, with the key that belongs to it."""

    http: aiohttp.ClientSession
    name: str  # as people call the service
    base_url: str  # its address without a last slash
    key_variable: str  # the environment variable that holds the key
    key: str
    headers: Callable[[str, bytes], Mapping[str, str]]  # from key and body
    now: datetime

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read something."""
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have something done."""
        return await self.call("POST", path, body=body if body is not None else {})

    async def delete(self, path: str) -> dict[str, Any]:
        """Take something away."""
        return await self.call("DELETE", path)

    async def call(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The service's response, a JSON object; empty if there is no body.

        Raises `CannotStart` (it refuses, a person must act), `Unavailable` (its limit or the credit is used up),
        `NotFound`, or `NoResponse`.
        """
        body_bytes = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Accept": "application/json", "User-Agent": "mcp-orchestrator", **self.headers(self.key, body_bytes)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self.http.request(
                method,
                _join_url(self.base_url, path),
                data=body_bytes or None,
                params=query or None,
                headers=headers,
                allow_redirects=False,
            ) as response:
                text = await _read_limited(response)
                status, retry_after = response.status, response.headers.get("Retry-After", "")
        except (aiohttp.ClientError, OSError) as error:  # a time-out is an OSError too
            raise NoResponse(f"{self.name} did not answer: {self._mask(str(error)) or type(error).__name__}") from None
        if text is None:
            raise NoResponse(f"{self.name} answered with more than the limit of {MAX_RESPONSE_BYTES:,} bytes")
        if 200 <= status < 300:
            return self._parse_json(text)
        raise self._error_for(status, self._error_text(text), retry_after)

    def _parse_json(self, text: bytes) -> dict[str, Any]:
        if not text.strip():
            return {}
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            raise NoResponse(f"{self.name} answered with something that is not JSON") from None
        if not isinstance(data, dict):
            raise NoResponse(f"{self.name} answered with JSON that is not an object")
        return data

    def _error_for(self, status: int, message: str, retry_after: str) -> Exception:
        suffix = f": {message}" if message else ""
        if status in (402, 429) or (status in (400, 403) and _OUT_OF_CREDIT.search(message)):
            retry_at = self._parse_retry_after(retry_after)
            if status == 429 or _RATE_LIMIT_TEXT.search(message):
                return RateLimited(f"{self.name} is rate-limited{suffix}", retry_at)
            return Unavailable(f"{self.name} is out of credit or quota{suffix}", retry_at)
        if status in (401, 403):
            return CannotStart(f"{self.name} refused the key (status {status}): check {self.key_variable}{suffix}")
        if status in (404, 410):
            return NotFound(f"{self.name} does not know it{suffix}")
        if 300 <= status < 400:
            return CannotStart(f"{self.name} redirects calls to another address, which the bot does not follow.")
        if status >= 500 or status in (408, 425):
            return NoResponse(f"{self.name} has an internal error (status {status}){suffix}")
        return CannotStart(f"{self.name} refused the work (status {status}){suffix}")

    def _parse_retry_after(self, retry_after: str) -> datetime | None:
        """When to try again, by `Retry-After`: seconds or a date, at most a day ahead."""
        try:
            retry_at = (
                self.now + timedelta(seconds=int(retry_after))
                if retry_after.isdigit()
                else parsedate_to_datetime(retry_after)
            )
        except (ValueError, OverflowError):
            return None
        retry_at = retry_at if retry_at.tzinfo else retry_at.replace(tzinfo=UTC)
        return min(retry_at, self.now + MAX_WAIT) if retry_at > self.now else None

    def _error_text(self, text: bytes) -> str:
        """What the service says about its refusal, whatever it calls the field."""
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError):
            return ""  # a page for people, most likely
        for _ in range(3):
            if not isinstance(data, dict):
                break
            data = next((data[key] for key in ("error", "message", "detail") if data.get(key)), "")
        return self._mask(data) if isinstance(data, str) else ""

    def _mask(self, text: str) -> str:
        """Text from outside without the key, on one line."""
        return one_line(mask_secrets(text.replace(self.key, "***") if self.key else text), 300)


def _join_url(base: str, path: str) -> str:
    """The address of a path below a base, whose query stays."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path)) if path else base


async def _read_limited(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None when it is too long."""
    parts, length = [], 0
    async for part in response.content.iter_chunked(65_536):
        length += len(part)
        if length > MAX_RESPONSE_BYTES:
            response.close()
            return None
        parts.append(part)
    return b"".join(parts)
