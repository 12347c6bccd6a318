"""Helpers of the sandbox's tests: a hub, and calls over HTTP."""

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from sandbox import Contract, ManualClock, Sandbox

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DATA = Path(__file__).parent.parent / "data" / "github"


@functools.cache
def contract() -> Contract:
    """GitHub's description, read once for all tests."""
    return Contract.load(DATA)


@asynccontextmanager
async def open_sandbox(root: Path, **sandbox_options: Any) -> AsyncIterator[Sandbox]:
    """A sandbox at nine o'clock whose exchanges must match GitHub's description."""
    async with Sandbox(root=root, clock=ManualClock(START), contract=contract(), **sandbox_options) as hub:
        yield hub
        await hub.wait_until_idle()
        assert hub.violations == [], "\n".join(hub.violations)


async def api(
    hub: Sandbox, token: str, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str
) -> Any:
    """Make one REST call, which must have that status, and return its JSON, text or bytes."""
    request_headers = {"Authorization": f"Bearer {token}", **headers}
    async with (
        aiohttp.ClientSession(headers=request_headers) as session,
        session.request(method, f"{hub.url}{path}", json=body) as response,
    ):
        assert response.status == status, (response.status, await response.text())
        if response.content_type == "application/json":
            return await response.json()
        return await (response.read() if response.content_type.endswith("zip") else response.text())
