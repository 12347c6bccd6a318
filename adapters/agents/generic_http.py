"""Talks to any server with the bot's small protocol: five signed POSTs; docs/other-agents.md describes it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from adapters.agents.base import RepositoryContext
from adapters.agents.service import AgentRequest, Session, text_of
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
    variable: ClassVar[str] = "AGENT_HTTP_SECRET"
    address: ClassVar[str] = ""

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """The body's signature."""
        return {SIGNATURE: signature(key, body)}

    async def check(self, line: ServiceClient, site: RepositoryContext) -> tuple[str, ...]:
        """Whether the server answers and accepts the signature; a server without this endpoint counts as healthy."""
        told = {"version": VERSION, "action": "probe", "to": line.base, "sent_at": line.now.isoformat()}
        try:
            answer = await line.post("/probe", told)
        except NotFound:
            return ()
        problems = answer.get("problems")
        return tuple(one_line(p, 300) for p in problems if isinstance(p, str)) if isinstance(problems, list) else ()

    async def begin(self, line: ServiceClient, job: AgentRequest) -> Session:
        """Send the packet; the same `key` twice is to be the same session."""
        return self._read(await self._post(line, job, "start", None, packet=dict(job.packet), prompt=job.prompt))

    async def find(self, line: ServiceClient, job: AgentRequest) -> Session | None:
        """Find the session by the key alone."""
        try:
            return self._read(await self._post(line, job, "poll", None))
        except NotFound:
            return None

    async def look(self, line: ServiceClient, session: str, job: AgentRequest) -> Session:
        """Read the session's state."""
        return self._read(await self._post(line, job, "poll", session))

    async def words(self, line: ServiceClient, session: Session, job: AgentRequest) -> str:
        """They are part of every state."""
        return session.words

    async def say(self, line: ServiceClient, session: str, job: AgentRequest, text: str) -> None:
        """Send a message."""
        await self._post(line, job, "steer", session, text=text)

    async def stop(self, line: ServiceClient, session: str, job: AgentRequest) -> None:
        """Ask it to stop."""
        await self._post(line, job, "cancel", session)

    async def _post(
        self, line: ServiceClient, job: AgentRequest, action: str, session: str | None, **more: Any
    ) -> dict[str, Any]:
        # Everything is signed, including address and time: what was signed for one server is worthless at another.
        told = {
            "version": VERSION,
            "action": action,
            "to": line.base,
            "sent_at": line.now.isoformat(),
            "key": job.key,
            "repository": job.repository,
            "task": job.number,
            "attempt": job.attempt,
            "agent": job.agent,
            "branch": job.branch,
            "session": session,
            **more,
        }
        return await line.post("" if action == "start" else f"/{action}", told)

    def _read(self, answer: Mapping[str, Any]) -> Session:
        told = text_of(answer, "state")
        try:
            state = SessionState(told)
        except ValueError:
            known = ", ".join(SessionState)
            raise NoResponse(
                f"{self.name} returned the state {one_line(told, 40)!r}; it must be one of {known}"
            ) from None
        pull = answer.get("pull_request")
        return Session(
            id=text_of(answer, "session"),
            state=state,
            url=text_of(answer, "url"),
            pull=str(pull) if isinstance(pull, int | str) else "",
            detail=text_of(answer, "detail") or ("" if state is SessionState.DELIVERED else f"ended as {state.value}"),
            used_up=text_of(answer, "unavailable"),
            words=text_of(answer, "words"),
        )
