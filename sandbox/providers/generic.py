"""How a team's own server looks from outside: the small protocol of docs/other-agents.md."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, ClassVar

from sandbox.providers.apis import ApiRequest, ProviderApi, Refused
from sandbox.providers.sessions import ServiceAgent, ServiceSession


class GenericApi(ProviderApi):
    """A team's own server: signed requests, each kind of them at its own sub-path."""

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

    def admits(self, agent: ServiceAgent, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the caller has the key."""
        wanted = "sha256=" + hmac.new(agent.key.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(headers.get("X-Orchestrator-Signature-256", ""), wanted)

    def answer(self, ask: ApiRequest) -> dict[str, Any]:
        """Do what is asked. Raises `Refused`."""
        told = ask.body
        if ask.method != "POST" or told.get("to") != f"{ask.url}{self.start}":
            raise Refused(400, "this was not meant for us")
        if told["action"] == "probe":
            return {}
        mine = [s for s in ask.agent.sessions if s.told["key"] == told["key"]]
        if told["action"] == "start":
            if mine:
                return self._told(ask, mine[0])  # the same key is the same work
            session = ask.agent.begin(
                ask.services.repository(told["repository"]),
                title="",
                prompt=told["prompt"],
                told=told,
                branch=told["branch"],
                base=told["packet"]["base"],
            )
            return self._told(ask, session)
        if not mine:
            raise Refused(404, "no such work")
        if told["action"] == "steer":
            mine[0].said.append(told["text"])
        elif told["action"] == "cancel":
            ask.agent.stop(mine[0])
        return self._told(ask, mine[0])

    def _told(self, ask: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        return {
            "session": session.id,
            "state": self.states[session.state],
            "url": ask.page(session),
            "pull_request": ask.pull(session),
            **({"words": session.says[-1]} if session.says else {}),
            **({"unavailable": "its credit is used up"} if session.state == "no-credit" else {}),
        }
