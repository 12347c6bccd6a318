"""Implements Cursor's cloud agents, by API v0.

From the documentation, not tested with a real key: the paths, the states, the conversation, that `branchName` is kept
as given. An agent is found by that branch, because the API accepts no key of the caller. Its webhook reports only the
end (`FINISHED`, `ERROR`), so the agent is polled instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from adapters.agents.base import RepositoryContext
from adapters.agents.service import AgentRequest, Session, last_words, objects, text_of
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
PAGES: Final = 3  # of a hundred agents, the newest first: ours was begun minutes ago


class Cursor:
    """`preset: cursor`."""

    name: ClassVar[str] = "Cursor"
    variable: ClassVar[str] = "CURSOR_API_KEY"
    address: ClassVar[str] = "https://api.cursor.com"

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """A bearer token."""
        return {"Authorization": f"Bearer {key}"}

    async def check(self, line: ServiceClient, site: RepositoryContext) -> tuple[str, ...]:
        """Whose key it is; which repositories it reaches is asked no more than needed: that list is slow."""
        await line.get("/v0/me")
        return ()

    async def begin(self, line: ServiceClient, job: AgentRequest) -> Session:
        """Launch an agent that opens a pull request from our branch."""
        return _read(
            await line.post(
                "/v0/agents",
                {
                    "prompt": {"text": job.prompt},
                    "source": {"repository": job.address, "ref": job.base},
                    "target": {"branchName": job.branch, "autoCreatePr": job.works},
                },
            )
        )

    async def find(self, line: ServiceClient, job: AgentRequest) -> Session | None:
        """The agent that works on our branch of this repository."""
        query = {"limit": "100"}
        for _ in range(PAGES):
            page = await line.get("/v0/agents", **query)
            for agent in objects(page, "agents"):
                same = text_of(agent, "source", "repository").lower().endswith(f"/{job.repository.lower()}")
                if same and text_of(agent, "target", "branchName") == job.branch:
                    return _read(agent)
            query["cursor"] = text_of(page, "nextCursor")
            if not query["cursor"]:
                break
        return None

    async def look(self, line: ServiceClient, session: str, job: AgentRequest) -> Session:
        """The agent by its id."""
        return _read(await line.get(f"/v0/agents/{session}"))

    async def words(self, line: ServiceClient, session: Session, job: AgentRequest) -> str:
        """Its messages in the conversation, which the service keeps until the agent is deleted."""
        told = await line.get(f"/v0/agents/{session.id}/conversation")
        mine = [m for m in objects(told, "messages") if text_of(m, "type") == "assistant_message"]
        return last_words([text_of(m, "text") for m in mine])

    async def say(self, line: ServiceClient, session: str, job: AgentRequest, text: str) -> None:
        """A follow-up."""
        await line.post(f"/v0/agents/{session}/followup", {"prompt": {"text": text}})

    async def stop(self, line: ServiceClient, session: str, job: AgentRequest) -> None:
        """Stop it; what it pushed stays."""
        await line.post(f"/v0/agents/{session}/stop")


def _read(agent: Mapping[str, Any]) -> Session:
    status = text_of(agent, "status")
    return Session(
        id=text_of(agent, "id"),
        state=STATES.get(status, SessionState.QUEUED),
        url=text_of(agent, "target", "url"),
        pull=text_of(agent, "target", "prUrl"),
        detail={"ERROR": "ended with an error", "EXPIRED": "expired", "STOPPED": "was stopped"}.get(status, ""),
    )
