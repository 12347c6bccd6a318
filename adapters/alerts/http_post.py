"""Sends JSON to the operator's address: bounded, without redirects, and no address in errors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import aiohttp

from adapters.alerts.base import Busy, DeliveryFailed, Refused
from core.text_safety.sanitize import mask_secrets, one_line

LONGEST_WAIT: Final = 3600  # the longest `Retry-After` that is believed
_AGAIN: Final = frozenset({408, 409, 425})  # besides those from 500: worth another try


async def post(http: aiohttp.ClientSession, what: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send the body; any 2xx is a delivery. Raises `DeliveryFailed`, `Busy` or `Refused`."""
    try:
        sent = {"Content-Type": "application/json", "User-Agent": "mcp-orchestrator", **headers}
        async with http.post(url, data=body, headers=sent, allow_redirects=False) as answer:
            status, after = answer.status, answer.headers.get("Retry-After", "")
            said = (await answer.content.read(500)).decode("utf-8", "replace")
    except (aiohttp.ClientError, OSError) as error:
        raise DeliveryFailed(f"{what} cannot be reached ({type(error).__name__})") from None
    if 200 <= status < 300:
        return
    told = f"{what} answered {status}: {one_line(mask_secrets(said), 200)}".rstrip(": ")
    if status == 429 or (status == 503 and after.isdecimal()):
        seconds = int(after[:6]) if after.isascii() and after.isdecimal() else 30
        raise Busy(told, timedelta(seconds=min(seconds, LONGEST_WAIT)))
    if status >= 500 or status in _AGAIN:
        raise DeliveryFailed(told)
    raise Refused(told)
