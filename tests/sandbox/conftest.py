"""Fixtures: a repository, an App that records its webhooks, and a client that acts as the App."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web

from sandbox import Contract, ManualClock, Sandbox
from sandbox.state.models import App, Installation, Repository

DATA = Path(__file__).parents[1] / "data" / "github"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ALL_PERMISSIONS = {
    "issues": "write",
    "pull_requests": "write",
    "checks": "write",
    "statuses": "write",
    "contents": "write",
    "actions": "read",
}
EVENTS = ["issues", "issue_comment", "label", "check_run", "check_suite", "status", "issue_dependencies", "sub_issues"]


class Stage:
    """A sandbox with an App that records its webhooks, and a client that acts as the App."""

    def __init__(self, hub: Sandbox, clock: ManualClock, shop: Repository, app: App) -> None:
        self.hub, self.clock, self.shop, self.app = hub, clock, shop, app
        self.installation: Installation
        self.response_status = 202
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        self.http: aiohttp.ClientSession

    @property
    def events(self) -> list[str]:
        out = []
        for headers, body in self.deliveries:
            action = json.loads(body).get("action")
            out.append(headers["X-GitHub-Event"] + (f".{action}" if action else ""))
        return out

    def jwt(self) -> str:
        now = int(self.hub.now().timestamp())
        claims = {"iat": now - 60, "exp": now + 540, "iss": str(self.app.id)}
        return jwt.encode(claims, self.app.private_key, algorithm="RS256")

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> tuple[int, Any, Any]:
        if token is None:
            token = self.hub.create_installation_token(self.installation)
        request_headers = {"Authorization": f"Bearer {token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if not token:
            del request_headers["Authorization"]
        url = path if path.startswith("http") else self.hub.url + path
        async with self.http.request(
            method, url, json=body, headers=request_headers, allow_redirects=False
        ) as response:
            text = await response.text()
            return response.status, (json.loads(text) if text else None), response.headers


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = ManualClock(START)
    async with Sandbox(tmp_path / "hub", clock=clock, contract=Contract.load(DATA)) as hub:
        shop = hub.repository("acme/shop", files={"cart.py": "print(1)\n"})
        app = hub.register_app("bot", secret="s3cret", permissions=ALL_PERMISSIONS, events=EVENTS)
        new_stage = Stage(hub, clock, shop, app)

        async def record_delivery(request: web.Request) -> web.Response:
            new_stage.deliveries.append((dict(request.headers), await request.read()))
            return web.Response(status=new_stage.response_status)

        receiver = web.Application()
        receiver.router.add_post("/webhook", record_delivery)
        runner = web.AppRunner(receiver)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        app.webhook_url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
        new_stage.installation = await hub.install(app, hub.organisation("acme"), [shop])
        async with aiohttp.ClientSession() as new_stage.http:
            yield new_stage
        await runner.cleanup()
