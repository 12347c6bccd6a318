"""Talks to any server with the bot's small protocol: five signed POSTs; docs/other-agents.md describes it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from adapters.agents.base import RepositoryContext
from adapters.agents.service import AgentRequest, ServiceSession, text_at
from adapters.agents.service_client import NoResponse, NotFound, ServiceClient
from core.task.model import SessionState
from core.text_safety.sanitize import one_line

SIGNATURE: Final = "X-Orchestrator-Signature-256"
VERSION: Final = 1


def signature(key: str, body: bytes) -> str:
    """HMAC-SHA256 of the body; the server must compare it with the header in constant time."""
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


class GenericHttpService:
    """An agent with a `url`."""

    name: ClassVar[str] = "The agent's server"
    key_variable: ClassVar[str] = "AGENT_HTTP_SECRET"
    default_url: ClassVar[str] = ""

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """The body's signature."""
        return {SIGNATURE: signature(key, body)}

    async def check(self, client: ServiceClient, context: RepositoryContext) -> tuple[str, ...]:
        """Whether the server answers and accepts the signature; a server without this endpoint counts as healthy."""
        body = {"version": VERSION, "action": "probe", "to": client.base_url, "sent_at": client.now.isoformat()}
        try:
            response = await client.post("/probe", body)
        except NotFound:
            return ()
        problems = response.get("problems")
        return tuple(one_line(p, 300) for p in problems if isinstance(p, str)) if isinstance(problems, list) else ()

    async def start_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession:
        """Send the packet; the same `key` twice is to be the same session."""
        return self._to_session(
            await self._post(client, request, "start", None, packet=dict(request.packet), prompt=request.prompt)
        )

    async def find_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession | None:
        """Find the session by the key alone."""
        try:
            return self._to_session(await self._post(client, request, "poll", None))
        except NotFound:
            return None

    async def get_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> ServiceSession:
        """Read the session's state."""
        return self._to_session(await self._post(client, request, "poll", session_id))

    async def read_output(self, client: ServiceClient, session: ServiceSession, request: AgentRequest) -> str:
        """They are part of every state."""
        return session.output

    async def send_message(self, client: ServiceClient, session_id: str, request: AgentRequest, text: str) -> None:
        """Send a message."""
        await self._post(client, request, "steer", session_id, text=text)

    async def stop_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> None:
        """Ask it to stop."""
        await self._post(client, request, "cancel", session_id)

    async def _post(
        self, client: ServiceClient, request: AgentRequest, action: str, session_id: str | None, **fields: Any
    ) -> dict[str, Any]:
        # Everything is signed, including address and time: what was signed for one server is worthless at another.
        body = {
            "version": VERSION,
            "action": action,
            "to": client.base_url,
            "sent_at": client.now.isoformat(),
            "key": request.key,
            "repository": request.repository,
            "task": request.number,
            "attempt": request.attempt,
            "agent": request.agent,
            "branch": request.branch,
            "session": session_id,
            **fields,
        }
        return await client.post("" if action == "start" else f"/{action}", body)

    def _to_session(self, response: Mapping[str, Any]) -> ServiceSession:
        state_name = text_at(response, "state")
        try:
            state = SessionState(state_name)
        except ValueError:
            valid_states = ", ".join(SessionState)
            raise NoResponse(
                f"{self.name} returned the state {one_line(state_name, 40)!r}; it must be one of {valid_states}"
            ) from None
        pull = response.get("pull_request")
        return ServiceSession(
            id=text_at(response, "session"),
            state=state,
            url=text_at(response, "url"),
            pull_url=str(pull) if isinstance(pull, int | str) else "",
            detail=text_at(response, "detail")
            or ("" if state is SessionState.DELIVERED else f"ended as {state.value}"),
            unavailable_reason=text_at(response, "unavailable"),
            output=text_at(response, "words"),
        )
