"""The web server of all services: one port, a path for each, faults before the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sandbox.actors.agents.scripted import Script
from sandbox.hub import Hub
from sandbox.providers.apis import ApiRequest, CursorFace, DevinFace, JulesFace, ProviderApi, Refused
from sandbox.providers.generic import GenericApi
from sandbox.providers.sessions import ServiceAgent
from sandbox.state.models import Repository

FACES: dict[str, ProviderApi] = {
    "cursor": CursorFace(),
    "jules": JulesFace(),
    "devin": DevinFace(),
    "plain": GenericApi(),
}
RETRY_AFTER = 120  # seconds that a limited service asks for


class ServiceServer:
    """All services beside one sandbox. `asked` has every request: service, method and path."""

    def __init__(self, hub: Hub) -> None:
        """Nothing listens yet; see `open`."""
        self.hub = hub
        self.agents: dict[str, ServiceAgent] = {}
        self.asked: list[tuple[str, str, str]] = []
        self._address = ""
        self._closing = asyncio.Event()

    @classmethod
    async def open(cls, hub: Hub) -> ServiceServer:
        """Services that listen on a free port until the sandbox closes."""
        services = cls(hub)
        application = web.Application(client_max_size=32 * 1024 * 1024)
        application.router.add_route("*", "/{service}/{path:.*}", services._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        services._address = "http://{}:{}".format(*runner.addresses[0][:2])

        async def close() -> None:
            services._closing.set()
            await runner.cleanup()

        hub.close_callbacks.append(close)
        return services

    def agent(self, service: str, script: Script, *, key: str, **more: Any) -> ServiceAgent:
        """Let a service (`cursor`, `jules`, `devin`, `plain`) have an agent that takes this key and works so."""
        face = FACES[service]
        more = {"actor": face.actor, "branch": face.own_branches, **more}
        self.agents[service] = agent = ServiceAgent(hub=self.hub, script=script, key=key, **more)
        return agent

    def url(self, service: str) -> str:
        """The address of a service, without a last slash."""
        return f"{self._address}/{service}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        name, path = request.match_info["service"], "/" + request.match_info["path"].rstrip("/")
        self.asked.append((name, request.method, path))
        agent, face = self.agents.get(name), FACES.get(name)
        if agent is None or face is None:
            return web.json_response({"error": "no such service"}, status=404)
        raw = await request.read()
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            return web.json_response({"error": "the body is no JSON"}, status=400)
        if not face.admits(agent, dict(request.headers), raw):
            return web.json_response(face.error("the key is not valid"), status=401)
        ask = ApiRequest(self, agent, request.method, path, dict(request.query), body, self.url(name))
        starts = face.starts(request.method, path)
        fault = agent.faults.popleft() if starts and agent.faults else None
        return await self._answer(face, ask, fault)

    async def _answer(self, face: ProviderApi, ask: ApiRequest, fault: str | None) -> web.StreamResponse:
        if fault and not fault.endswith("-done"):
            return _refusal(face, fault)
        if fault in ("502-not-done", "hang-not-done"):
            status, told = 502, face.error("bad gateway")
        else:
            try:
                status, told = 200, face.answer(ask)
            except Refused as refusal:
                status, told = refusal.status, face.error(str(refusal))
        if fault and fault.startswith("hang"):
            await self._closing.wait()
        if fault == "500-done":
            status, told = 500, face.error("internal error")
        return web.json_response(told, status=status)

    def repository(self, full_name: str) -> Repository:
        """A repository of the sandbox by its name or address. Raises `Refused`."""
        found = self.hub.find_repository("/".join(full_name.removesuffix(".git").split("/")[-2:]))
        if found is None:
            raise Refused(400, f"no access to {full_name}")
        return found


def _refusal(face: ProviderApi, fault: str) -> web.Response:
    """Answers by which nothing is done."""
    answers: dict[str, Callable[[], web.Response]] = {
        "429": lambda: web.json_response(
            face.error("rate limit exceeded"), status=429, headers={"Retry-After": str(RETRY_AFTER)}
        ),
        "402": lambda: web.json_response(face.error("out of credits"), status=402),
        "401": lambda: web.json_response(face.error("the key is not valid"), status=401),
        "moved": lambda: web.Response(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data"}),
        "nonsense": lambda: web.Response(text="<html>Welcome!</html>", content_type="text/html"),
        "endless": lambda: web.Response(body=b"[" * 3_000_000, content_type="application/json"),
    }
    return answers[fault]()
