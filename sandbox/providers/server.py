"""The web server of all services: one port, one path prefix for each service, and planned faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sandbox.actors.agents.scripted import Script
from sandbox.hub import Hub
from sandbox.providers.base import ApiRequest, ProviderApi, RequestRefused
from sandbox.providers.cursor import CursorApi
from sandbox.providers.devin import DevinApi
from sandbox.providers.generic import GenericApi
from sandbox.providers.jules import JulesApi
from sandbox.providers.sessions import ServiceAgent
from sandbox.state.models import Repository

APIS: dict[str, ProviderApi] = {
    "cursor": CursorApi(),
    "jules": JulesApi(),
    "devin": DevinApi(),
    "plain": GenericApi(),
}
RETRY_AFTER_SECONDS = 120


class ServiceServer:
    """All services beside one sandbox. `requests` has the service, method and path of every request."""

    def __init__(self, hub: Hub) -> None:
        """Does not listen yet; see `open`."""
        self.hub = hub
        self.agents: dict[str, ServiceAgent] = {}
        self.requests: list[tuple[str, str, str]] = []
        self._address = ""
        self._closing = asyncio.Event()

    @classmethod
    async def open(cls, hub: Hub) -> ServiceServer:
        """Listen on a free port until the sandbox closes."""
        server = cls(hub)
        application = web.Application(client_max_size=32 * 1024 * 1024)
        application.router.add_route("*", "/{service}/{path:.*}", server._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server._address = "http://{}:{}".format(*runner.addresses[0][:2])

        async def close() -> None:
            server._closing.set()
            await runner.cleanup()

        hub.close_callbacks.append(close)
        return server

    def agent(self, service: str, script: Script, *, key: str, **options: Any) -> ServiceAgent:
        """Add an agent to a service (`cursor`, `jules`, `devin`, `plain`): its key and its script."""
        api = APIS[service]
        options = {"actor": api.actor, "branch_prefix": api.branch_prefix, **options}
        self.agents[service] = agent = ServiceAgent(hub=self.hub, script=script, key=key, **options)
        return agent

    def url(self, service: str) -> str:
        """The address of a service, without a trailing slash."""
        return f"{self._address}/{service}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        name, path = request.match_info["service"], "/" + request.match_info["path"].rstrip("/")
        self.requests.append((name, request.method, path))
        agent, api = self.agents.get(name), APIS.get(name)
        if agent is None or api is None:
            return web.json_response({"error": "no such service"}, status=404)
        raw = await request.read()
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            return web.json_response({"error": "the body is not JSON"}, status=400)
        if not api.is_authorized(agent, dict(request.headers), raw):
            return web.json_response(api.error("the key is not valid"), status=401)
        api_request = ApiRequest(self, agent, request.method, path, dict(request.query), body, self.url(name))
        is_start = api.is_start(request.method, path)
        fault = agent.faults.popleft() if is_start and agent.faults else None
        return await self._respond(api, api_request, fault)

    async def _respond(self, api: ProviderApi, request: ApiRequest, fault: str | None) -> web.StreamResponse:
        if fault and not fault.endswith("-done"):
            return _fault_response(api, fault)
        if fault in ("502-not-done", "hang-not-done"):
            status, body = 502, api.error("bad gateway")
        else:
            try:
                status, body = 200, api.handle(request)
            except RequestRefused as refusal:
                status, body = refusal.status, api.error(str(refusal))
        if fault and fault.startswith("hang"):
            await self._closing.wait()
        if fault == "500-done":
            status, body = 500, api.error("internal error")
        return web.json_response(body, status=status)

    def repository(self, full_name: str) -> Repository:
        """A repository of the sandbox by its name or address. Raises `RequestRefused`."""
        repository = self.hub.find_repository("/".join(full_name.removesuffix(".git").split("/")[-2:]))
        if repository is None:
            raise RequestRefused(400, f"no access to {full_name}")
        return repository


def _fault_response(api: ProviderApi, fault: str) -> web.Response:
    """The response of a fault that does nothing."""
    responses: dict[str, Callable[[], web.Response]] = {
        "429": lambda: web.json_response(
            api.error("rate limit exceeded"), status=429, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
        ),
        "402": lambda: web.json_response(api.error("out of credits"), status=402),
        "401": lambda: web.json_response(api.error("the key is not valid"), status=401),
        "moved": lambda: web.Response(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data"}),
        "nonsense": lambda: web.Response(text="<html>Welcome!</html>", content_type="text/html"),
        "endless": lambda: web.Response(body=b"[" * 3_000_000, content_type="application/json"),
    }
    return responses[fault]()
