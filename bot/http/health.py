"""Serves `/healthz` (the process is alive) and `/readyz` (it can do its work)."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib import metadata

from aiohttp import web

from adapters.database.database import Database
from bot.http.admission import AdmissionControl
from config.build import build_sha
from core.clock import Clock


@cache
def version() -> str:
    """The version that is installed; `unknown` in a checkout that was not."""
    try:
        return metadata.version("mcp-orchestrator")
    except metadata.PackageNotFoundError:
        return "unknown"


class Health:
    """The two endpoints for process supervisors."""

    def __init__(self, database: Database, clock: Clock, admission: AdmissionControl) -> None:
        """Uptime counts from here."""
        self._admission = admission
        self._database = database
        self._clock = clock
        self._started: datetime = clock.now()

    async def healthz(self, request: web.Request) -> web.Response:
        """Always 200 while the process answers."""
        uptime = (self._clock.now() - self._started).total_seconds()
        body = {
            "status": "ok",
            "version": version(),
            "build_sha": build_sha(),
            "uptime_seconds": round(uptime, 3),
        }
        return web.json_response(body)

    async def readyz(self, request: web.Request) -> web.Response:
        """200 if deliveries can be accepted, 503 with the reason if not."""
        try:
            await self._database.ping()
        except Exception as error:  # whatever it is, it means that we cannot work
            return web.json_response({"status": "not ready", "reason": type(error).__name__}, status=503)
        if overloaded := self._admission.overload():
            headers = {"Retry-After": str(overloaded.retry_after_seconds)}
            return web.json_response({"status": "not ready", "reason": overloaded.reason}, status=503, headers=headers)
        return web.json_response({"status": "ready"})
