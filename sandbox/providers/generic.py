"""A team's own server, with the small protocol of docs/other-agents.md."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, ClassVar

from sandbox.providers.base import ApiRequest, ProviderApi, RequestRefused
from sandbox.providers.sessions import ServiceAgent, ServiceSession


class GenericApi(ProviderApi):
    """The signed requests of the generic protocol."""

    actor = "team-agent[bot]"
    start = "/work"
    states: ClassVar = {
        "queued": "queued",
        "working": "working",
        "done": "delivered",
        "failed": "failed",
        "stopped": "cancelled",
        "no-credit": "paused",
    }

    def is_authorized(self, agent: ServiceAgent, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the request carries the key."""
        signature = "sha256=" + hmac.new(agent.key.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(headers.get("X-Orchestrator-Signature-256", ""), signature)

    def handle(self, request: ApiRequest) -> dict[str, Any]:
        """Handle a request. Raises `RequestRefused`."""
        body = request.body
        if request.method != "POST" or body.get("to") != f"{request.url}{self.start}":
            raise RequestRefused(400, "this was not meant for us")
        if body["action"] == "probe":
            return {}
        same_key = [session for session in request.agent.sessions if session.body["key"] == body["key"]]
        if body["action"] == "start":
            if same_key:
                return self._state(request, same_key[0])
            session = request.agent.start(
                request.server.repository(body["repository"]),
                title="",
                prompt=body["prompt"],
                body=body,
                branch=body["branch"],
                base=body["packet"]["base"],
            )
            return self._state(request, session)
        if not same_key:
            raise RequestRefused(404, "no such work")
        if body["action"] == "steer":
            same_key[0].followups.append(body["text"])
        elif body["action"] == "cancel":
            request.agent.stop(same_key[0])
        return self._state(request, same_key[0])

    def _state(self, request: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        return {
            "session": session.id,
            "state": self.states[session.state],
            "url": request.page(session),
            "pull_request": request.pull(session),
            **({"words": session.messages[-1]} if session.messages else {}),
            **({"unavailable": "its credit is used up"} if session.state == "no-credit" else {}),
        }
