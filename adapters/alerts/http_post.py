"""Sends JSON to the operator's address: bounded, without redirects, and no address in errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import aiohttp

from adapters.alerts.base import Busy, DeliveryFailed, DeliveryRejected
from core.text_safety.sanitize import mask_secrets, one_line

MAX_WAIT_SECONDS: Final = 3600  # the longest `Retry-After` that is believed
_RETRYABLE_STATUSES: Final = frozenset({408, 409, 425})  # besides those from 500: worth another try


async def post(
    http: aiohttp.ClientSession, service_name: str, url: str, body: bytes, headers: Mapping[str, str]
) -> None:
    """Send the body; any 2xx is a delivery. Raises `DeliveryFailed`, `Busy` or `DeliveryRejected`."""
    try:
        all_headers = {"Content-Type": "application/json", "User-Agent": "mcp-orchestrator", **headers}
        async with http.post(url, data=body, headers=all_headers, allow_redirects=False) as response:
            status, retry_after = response.status, response.headers.get("Retry-After", "")
            response_text = (await response.content.read(500)).decode("utf-8", "replace")
    except (aiohttp.ClientError, OSError) as error:
        raise DeliveryFailed(f"{service_name} cannot be reached ({type(error).__name__})") from None
    if 200 <= status < 300:
        return
    message = f"{service_name} answered {status}: {one_line(mask_secrets(response_text), 200)}".rstrip(": ")
    if status == 429 or (status == 503 and retry_after.isdecimal()):
        seconds = int(retry_after[:6]) if retry_after.isascii() and retry_after.isdecimal() else 30
        raise Busy(message, timedelta(seconds=min(seconds, MAX_WAIT_SECONDS)))
    if status >= 500 or status in _RETRYABLE_STATUSES:
        raise DeliveryFailed(message)
    raise DeliveryRejected(message)
