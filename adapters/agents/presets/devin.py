"""Implements Devin, by API v1.

Everything is from the documentation, not tested with a real key. `idempotent` merges two equal requests into one
session; the adapter still looks for its tag before it repeats a request. From other sources: that a session with an
open pull request continues as `blocked` (it waits for a message), and the reasons of `suspended`, which are documented
for API v3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from adapters.agents.base import RepositoryContext
from adapters.agents.service import AgentRequest, ServiceSession, objects, select_output, text_at
from adapters.agents.service_client import ServiceClient
from core.task.model import SessionState

STATES: Final = {
    "new": SessionState.QUEUED,
    "claimed": SessionState.QUEUED,
    "working": SessionState.WORKING,
    "running": SessionState.WORKING,
    "resumed": SessionState.WORKING,
    "resume_requested": SessionState.WORKING,
    "resume_requested_frontend": SessionState.WORKING,
    "blocked": SessionState.NEEDS_INPUT,
    "waiting_for_user": SessionState.NEEDS_INPUT,
    "waiting_for_approval": SessionState.NEEDS_INPUT,
    "suspend_requested": SessionState.PAUSED,
    "suspend_requested_frontend": SessionState.PAUSED,
    "suspended": SessionState.PAUSED,
    "finished": SessionState.DELIVERED,
    "exit": SessionState.DELIVERED,
    "stopped": SessionState.CANCELLED,
    "expired": SessionState.TIMED_OUT,
    "error": SessionState.FAILED,
}
UNAVAILABLE_REASONS: Final = {
    "out_of_credits": "its credit is used up",
    "out_of_quota": "its quota is used up",
    "no_quota_allocation": "it was given no quota",
    "usage_limit_exceeded": "its usage limit is reached",
    "org_usage_limit_exceeded": "its organisation's usage limit is reached",
    "total_session_limit_exceeded": "its limit of sessions is reached",
    "payment_declined": "a payment was declined",
}


class Devin:
    """`preset: devin`."""

    name: ClassVar[str] = "Devin"
    key_variable: ClassVar[str] = "DEVIN_API_KEY"
    default_url: ClassVar[str] = "https://api.devin.ai"

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """A bearer token."""
        return {"Authorization": f"Bearer {key}"}

    async def check(self, client: ServiceClient, context: RepositoryContext) -> tuple[str, ...]:
        """Whether the key may read sessions."""
        await client.get("/v1/sessions", limit="1")
        return ()

    async def start_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession:
        """Create a session; its prompt names the repository."""
        response = await client.post(
            "/v1/sessions",
            {
                "prompt": f"Repository: {request.repository_url}\n\n{request.prompt}",
                "title": f"{request.title} ({request.key})",
                "tags": [request.key],
                "idempotent": True,
            },
        )
        return ServiceSession(text_at(response, "session_id"), SessionState.QUEUED, text_at(response, "url"))

    async def find_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession | None:
        """The session with our tag."""
        page = await client.get("/v1/sessions", tags=request.key, limit="100")
        for session in objects(page, "sessions"):
            tags = session.get("tags")
            if isinstance(tags, list) and request.key in tags:  # whatever the service makes of the filter
                return _to_session(session)
        return None

    async def get_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> ServiceSession:
        """The session by its id."""
        return _to_session(await client.get(f"/v1/sessions/{session_id}"))

    async def read_output(self, client: ServiceClient, session: ServiceSession, request: AgentRequest) -> str:
        """Its messages come with the session."""
        response = await client.get(f"/v1/sessions/{session.id}")
        messages = [m for m in objects(response, "messages") if text_at(m, "type") == "devin_message"]
        return select_output([text_at(m, "message") for m in messages])

    async def send_message(self, client: ServiceClient, session_id: str, request: AgentRequest, text: str) -> None:
        """A message to it."""
        await client.post(f"/v1/sessions/{session_id}/message", {"message": text})

    async def stop_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> None:
        """Terminate it; what it pushed stays."""
        await client.delete(f"/v1/sessions/{session_id}")


def _to_session(session: Mapping[str, Any]) -> ServiceSession:
    status = (text_at(session, "status_enum") or text_at(session, "status")).lower()
    detail = text_at(session, "status_detail").lower()
    pulls = [text_at(session, "pull_request", "url")] + [text_at(p, "url") for p in objects(session, "pull_requests")]
    pull = next((url for url in pulls if url), "")
    state = STATES.get(status, SessionState.QUEUED)
    if status == "running" and detail in STATES:
        state = STATES[detail]
    if state is SessionState.NEEDS_INPUT and pull:
        state = SessionState.DELIVERED
    return ServiceSession(
        id=text_at(session, "session_id"),
        state=state,
        url=text_at(session, "url"),
        pull_url=pull,
        detail={"expired": "expired", "error": "ended with an error", "stopped": "was stopped"}.get(status, ""),
        unavailable_reason=UNAVAILABLE_REASONS.get(detail, "") or UNAVAILABLE_REASONS.get(status, ""),
    )
