"""Implements Google's Jules, by API v1alpha.

Everything is from the documentation, not tested with a real key; the API calls itself alpha. It accepts no key and no
branch of the caller: a session is found by its title, and its pull request by what the session reports when it has
ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from adapters.agents.base import CannotStart, RepositoryContext
from adapters.agents.service import AgentRequest, ServiceSession, objects, select_output, text_at
from adapters.agents.service_client import ServiceClient
from core.task.model import SessionState

STATES: Final = {
    "QUEUED": SessionState.QUEUED,
    "PLANNING": SessionState.WORKING,
    "IN_PROGRESS": SessionState.WORKING,
    "AWAITING_PLAN_APPROVAL": SessionState.NEEDS_INPUT,
    "AWAITING_USER_FEEDBACK": SessionState.NEEDS_INPUT,
    "PAUSED": SessionState.PAUSED,
    "COMPLETED": SessionState.DELIVERED,
    "FAILED": SessionState.FAILED,
}
MAX_PAGES: Final = 3  # of a hundred sessions, or of a hundred lines of what happened in one


class Jules:
    """`preset: jules`."""

    name: ClassVar[str] = "Jules"
    key_variable: ClassVar[str] = "JULES_API_KEY"
    default_url: ClassVar[str] = "https://jules.googleapis.com"

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """Google's header for keys."""
        return {"X-Goog-Api-Key": key}

    async def check(self, client: ServiceClient, context: RepositoryContext) -> tuple[str, ...]:
        """Whether Jules may work on the repository."""
        try:
            await self._find_source(client, context.repository)
        except CannotStart as problem:
            return (str(problem),)
        return ()

    async def _find_source(self, client: ServiceClient, repository: str) -> str:
        """Jules' own name for the repository: told by the API, because how it is built has changed before."""
        query = {"pageSize": "100"}
        for _ in range(MAX_PAGES):
            page = await client.get("/v1alpha/sources", **query)
            for source in objects(page, "sources"):
                source_repository = f"{text_at(source, 'githubRepo', 'owner')}/{text_at(source, 'githubRepo', 'repo')}"
                if source_repository.lower() == repository.lower():
                    return text_at(source, "name")
            query["pageToken"] = text_at(page, "nextPageToken")
            if not query["pageToken"]:
                break
        raise CannotStart(f"Jules does not know `{repository}`: connect it at https://jules.google.com first.")

    async def start_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession:
        """Create a session that opens a pull request by itself, if work is wanted, and requires no approval of its
        plan.
        """
        source = await self._find_source(client, request.repository)
        return _to_session(
            await client.post(
                "/v1alpha/sessions",
                {
                    "title": _title(request),
                    "prompt": request.prompt,
                    "sourceContext": {"source": source, "githubRepoContext": {"startingBranch": request.base}},
                    **({"automationMode": "AUTO_CREATE_PR"} if request.expects_pull else {}),
                },
            )
        )

    async def find_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession | None:
        """The session with our title."""
        query = {"pageSize": "100"}
        for _ in range(MAX_PAGES):
            page = await client.get("/v1alpha/sessions", **query)
            for session in objects(page, "sessions"):
                if text_at(session, "title") == _title(request):
                    return _to_session(session)
            query["pageToken"] = text_at(page, "nextPageToken")
            if not query["pageToken"]:
                break
        return None

    async def get_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> ServiceSession:
        """The session by its id."""
        return _to_session(await client.get(f"/v1alpha/sessions/{session_id}"))

    async def read_output(self, client: ServiceClient, session: ServiceSession, request: AgentRequest) -> str:
        """Its messages among what happened in the session, oldest first."""
        query, messages = {"pageSize": "100"}, []
        for _ in range(MAX_PAGES):
            page = await client.get(f"/v1alpha/sessions/{session.id}/activities", **query)
            messages += [text_at(activity, "agentMessaged", "agentMessage") for activity in objects(page, "activities")]
            query["pageToken"] = text_at(page, "nextPageToken")
            if not query["pageToken"]:
                break
        return select_output([message for message in messages if message])

    async def send_message(self, client: ServiceClient, session_id: str, request: AgentRequest, text: str) -> None:
        """A message to it."""
        await client.post(f"/v1alpha/sessions/{session_id}:sendMessage", {"prompt": text})

    async def stop_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> None:
        """The API knows no stopping but to delete the session; what it pushed stays."""
        await client.delete(f"/v1alpha/sessions/{session_id}")


def _title(request: AgentRequest) -> str:
    return request.key


def _to_session(session: Mapping[str, Any]) -> ServiceSession:
    state = text_at(session, "state")
    pulls = [text_at(output, "pullRequest", "url") for output in objects(session, "outputs")]
    return ServiceSession(
        id=text_at(session, "id") or text_at(session, "name").rpartition("/")[2],
        state=STATES.get(state, SessionState.QUEUED),
        url=text_at(session, "url"),
        pull_url=next((url for url in pulls if url), ""),
        detail="failed" if state == "FAILED" else "",
    )
