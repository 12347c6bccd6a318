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
from adapters.agents.service import AgentRequest, Session, last_words, objects, text_of
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
USED_UP: Final = {
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
    variable: ClassVar[str] = "DEVIN_API_KEY"
    address: ClassVar[str] = "https://api.devin.ai"

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """A bearer token."""
        return {"Authorization": f"Bearer {key}"}

    async def check(self, line: ServiceClient, site: RepositoryContext) -> tuple[str, ...]:
        """Whether the key may read sessions."""
        await line.get("/v1/sessions", limit="1")
        return ()

    async def begin(self, line: ServiceClient, job: AgentRequest) -> Session:
        """Create a session; its prompt names the repository."""
        begun = await line.post(
            "/v1/sessions",
            {
                "prompt": f"Repository: {job.address}\n\n{job.prompt}",
                "title": f"{job.title} ({job.key})",
                "tags": [job.key],
                "idempotent": True,
            },
        )
        return Session(text_of(begun, "session_id"), SessionState.QUEUED, text_of(begun, "url"))

    async def find(self, line: ServiceClient, job: AgentRequest) -> Session | None:
        """The session with our tag."""
        page = await line.get("/v1/sessions", tags=job.key, limit="100")
        for session in objects(page, "sessions"):
            tags = session.get("tags")
            if isinstance(tags, list) and job.key in tags:  # whatever the service makes of the filter
                return _read(session)
        return None

    async def look(self, line: ServiceClient, session: str, job: AgentRequest) -> Session:
        """The session by its id."""
        return _read(await line.get(f"/v1/sessions/{session}"))

    async def words(self, line: ServiceClient, session: Session, job: AgentRequest) -> str:
        """Its messages come with the session."""
        told = await line.get(f"/v1/sessions/{session.id}")
        mine = [m for m in objects(told, "messages") if text_of(m, "type") == "devin_message"]
        return last_words([text_of(m, "message") for m in mine])

    async def say(self, line: ServiceClient, session: str, job: AgentRequest, text: str) -> None:
        """A message to it."""
        await line.post(f"/v1/sessions/{session}/message", {"message": text})

    async def stop(self, line: ServiceClient, session: str, job: AgentRequest) -> None:
        """Terminate it; what it pushed stays."""
        await line.delete(f"/v1/sessions/{session}")


def _read(session: Mapping[str, Any]) -> Session:
    status = (text_of(session, "status_enum") or text_of(session, "status")).lower()
    detail = text_of(session, "status_detail").lower()
    pulls = [text_of(session, "pull_request", "url")] + [text_of(p, "url") for p in objects(session, "pull_requests")]
    pull = next((url for url in pulls if url), "")
    state = STATES.get(status, SessionState.QUEUED)
    if status == "running" and detail in STATES:
        state = STATES[detail]
    if state is SessionState.NEEDS_INPUT and pull:
        state = SessionState.DELIVERED
    return Session(
        id=text_of(session, "session_id"),
        state=state,
        url=text_of(session, "url"),
        pull=pull,
        detail={"expired": "expired", "error": "ended with an error", "stopped": "was stopped"}.get(status, ""),
        used_up=USED_UP.get(detail, "") or USED_UP.get(status, ""),
    )
