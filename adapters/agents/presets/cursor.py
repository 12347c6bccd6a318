"""Implements Cursor's cloud agents, by API v0.

From the documentation, not tested with a real key: the paths, the states, the conversation, that `branchName` is kept
as given. An agent is found by that branch, because the API accepts no key of the caller. Its webhook reports only the
end (`FINISHED`, `ERROR`), so the agent is polled instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from adapters.agents.base import RepositoryContext
from adapters.agents.service import AgentRequest, ServiceSession, objects, select_output, text_at
from adapters.agents.service_client import ServiceClient
from core.task.model import SessionState

STATES: Final = {
    "CREATING": SessionState.QUEUED,
    "RUNNING": SessionState.WORKING,
    "FINISHED": SessionState.DELIVERED,
    "ERROR": SessionState.FAILED,
    "EXPIRED": SessionState.TIMED_OUT,
    "STOPPED": SessionState.CANCELLED,
}
MAX_PAGES: Final = 3  # of a hundred agents, the newest first: ours was begun minutes ago


class Cursor:
    """`preset: cursor`."""

    name: ClassVar[str] = "Cursor"
    key_variable: ClassVar[str] = "CURSOR_API_KEY"
    default_url: ClassVar[str] = "https://api.cursor.com"

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """A bearer token."""
        return {"Authorization": f"Bearer {key}"}

    async def check(self, client: ServiceClient, context: RepositoryContext) -> tuple[str, ...]:
        """Whose key it is; which repositories it reaches is asked no more than needed: that list is slow."""
        await client.get("/v0/me")
        return ()

    async def start_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession:
        """Launch an agent that opens a pull request from our branch."""
        return _to_session(
            await client.post(
                "/v0/agents",
                {
                    "prompt": {"text": request.prompt},
                    "source": {"repository": request.repository_url, "ref": request.base},
                    "target": {"branchName": request.branch, "autoCreatePr": request.expects_pull},
                },
            )
        )

    async def find_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession | None:
        """The agent that works on our branch of this repository."""
        query = {"limit": "100"}
        for _ in range(MAX_PAGES):
            page = await client.get("/v0/agents", **query)
            for agent in objects(page, "agents"):
                is_same_repository = (
                    text_at(agent, "source", "repository").lower().endswith(f"/{request.repository.lower()}")
                )
                if is_same_repository and text_at(agent, "target", "branchName") == request.branch:
                    return _to_session(agent)
            query["cursor"] = text_at(page, "nextCursor")
            if not query["cursor"]:
                break
        return None

    async def get_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> ServiceSession:
        """The agent by its id."""
        return _to_session(await client.get(f"/v0/agents/{session_id}"))

    async def read_output(self, client: ServiceClient, session: ServiceSession, request: AgentRequest) -> str:
        """Its messages in the conversation, which the service keeps until the agent is deleted."""
        response = await client.get(f"/v0/agents/{session.id}/conversation")
        messages = [m for m in objects(response, "messages") if text_at(m, "type") == "assistant_message"]
        return select_output([text_at(m, "text") for m in messages])

    async def send_message(self, client: ServiceClient, session_id: str, request: AgentRequest, text: str) -> None:
        """A follow-up."""
        await client.post(f"/v0/agents/{session_id}/followup", {"prompt": {"text": text}})

    async def stop_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> None:
        """Stop it; what it pushed stays."""
        await client.post(f"/v0/agents/{session_id}/stop")


def _to_session(agent: Mapping[str, Any]) -> ServiceSession:
    status = text_at(agent, "status")
    return ServiceSession(
        id=text_at(agent, "id"),
        state=STATES.get(status, SessionState.QUEUED),
        url=text_at(agent, "target", "url"),
        pull_url=text_at(agent, "target", "prUrl"),
        detail={"ERROR": "ended with an error", "EXPIRED": "expired", "STOPPED": "was stopped"}.get(status, ""),
    )
