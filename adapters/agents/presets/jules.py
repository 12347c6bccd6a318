"""Implements Google's Jules, by API v1alpha.

Everything is from the documentation, not tested with a real key; the API calls itself alpha. It accepts no key and no
branch of the caller: a session is found by its title, and its pull request by what the session reports when it has
ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from adapters.agents.base import CannotStart, RepositoryContext
from adapters.agents.service import AgentRequest, Session, last_words, objects, text_of
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
PAGES: Final = 3  # of a hundred sessions, or of a hundred lines of what happened in one


class Jules:
    """`preset: jules`."""

    name: ClassVar[str] = "Jules"
    variable: ClassVar[str] = "JULES_API_KEY"
    address: ClassVar[str] = "https://jules.googleapis.com"

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """Google's header for keys."""
        return {"X-Goog-Api-Key": key}

    async def check(self, line: ServiceClient, site: RepositoryContext) -> tuple[str, ...]:
        """Whether Jules may work on the repository."""
        try:
            await self._source(line, site.repository)
        except CannotStart as problem:
            return (str(problem),)
        return ()

    async def _source(self, line: ServiceClient, repository: str) -> str:
        """Jules' own name for the repository: told by the API, because how it is built has changed before."""
        query = {"pageSize": "100"}
        for _ in range(PAGES):
            page = await line.get("/v1alpha/sources", **query)
            for source in objects(page, "sources"):
                named = f"{text_of(source, 'githubRepo', 'owner')}/{text_of(source, 'githubRepo', 'repo')}"
                if named.lower() == repository.lower():
                    return text_of(source, "name")
            query["pageToken"] = text_of(page, "nextPageToken")
            if not query["pageToken"]:
                break
        raise CannotStart(f"Jules does not know `{repository}`: connect it at https://jules.google.com first.")

    async def begin(self, line: ServiceClient, job: AgentRequest) -> Session:
        """Create a session that opens a pull request by itself, if work is wanted, and requires no approval of its
        plan.
        """
        source = await self._source(line, job.repository)
        return _read(
            await line.post(
                "/v1alpha/sessions",
                {
                    "title": _title(job),
                    "prompt": job.prompt,
                    "sourceContext": {"source": source, "githubRepoContext": {"startingBranch": job.base}},
                    **({"automationMode": "AUTO_CREATE_PR"} if job.works else {}),
                },
            )
        )

    async def find(self, line: ServiceClient, job: AgentRequest) -> Session | None:
        """The session with our title."""
        query = {"pageSize": "100"}
        for _ in range(PAGES):
            page = await line.get("/v1alpha/sessions", **query)
            for session in objects(page, "sessions"):
                if text_of(session, "title") == _title(job):
                    return _read(session)
            query["pageToken"] = text_of(page, "nextPageToken")
            if not query["pageToken"]:
                break
        return None

    async def look(self, line: ServiceClient, session: str, job: AgentRequest) -> Session:
        """The session by its id."""
        return _read(await line.get(f"/v1alpha/sessions/{session}"))

    async def words(self, line: ServiceClient, session: Session, job: AgentRequest) -> str:
        """Its messages among what happened in the session, oldest first."""
        query, said = {"pageSize": "100"}, []
        for _ in range(PAGES):
            page = await line.get(f"/v1alpha/sessions/{session.id}/activities", **query)
            said += [text_of(activity, "agentMessaged", "agentMessage") for activity in objects(page, "activities")]
            query["pageToken"] = text_of(page, "nextPageToken")
            if not query["pageToken"]:
                break
        return last_words([message for message in said if message])

    async def say(self, line: ServiceClient, session: str, job: AgentRequest, text: str) -> None:
        """A message to it."""
        await line.post(f"/v1alpha/sessions/{session}:sendMessage", {"prompt": text})

    async def stop(self, line: ServiceClient, session: str, job: AgentRequest) -> None:
        """The API knows no stopping but to delete the session; what it pushed stays."""
        await line.delete(f"/v1alpha/sessions/{session}")


def _title(job: AgentRequest) -> str:
    return job.key


def _read(session: Mapping[str, Any]) -> Session:
    state = text_of(session, "state")
    pulls = [text_of(output, "pullRequest", "url") for output in objects(session, "outputs")]
    return Session(
        id=text_of(session, "id") or text_of(session, "name").rpartition("/")[2],
        state=STATES.get(state, SessionState.QUEUED),
        url=text_of(session, "url"),
        pull=next((url for url in pulls if url), ""),
        detail="failed" if state == "FAILED" else "",
    )
