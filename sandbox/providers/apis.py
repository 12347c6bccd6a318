"""How each service looks from outside: its paths, its words, its states, as its documentation shows them."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sandbox.providers.server import ServiceServer
from sandbox.providers.sessions import ServiceAgent, ServiceSession


class Refused(Exception):
    """The service says no."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class ApiRequest:
    """One request to a service, its key checked."""

    services: ServiceServer
    agent: ServiceAgent
    method: str
    path: str
    query: Mapping[str, str]
    body: dict[str, Any]
    url: str  # of the service

    def session(self, session_id: str) -> ServiceSession:
        """The session of this id. Raises `Refused`."""
        found = self.agent.session(session_id)
        if found is None:
            raise Refused(404, "not found")
        return found

    def page(self, session: ServiceSession) -> str:
        """A session's page."""
        return f"{self.url}/pages/{session.id}"

    def pull(self, session: ServiceSession) -> str | None:
        """The address of a session's pull request."""
        hub = self.services.hub
        return f"{hub.url}/{session.repository.full_name}/pull/{session.pull}" if session.pull else None


class ProviderApi:
    """What all services share: a bearer token, and an error in an object."""

    actor: ClassVar[str]
    own_branches: ClassVar[str | None] = None
    start: ClassVar[str]  # the path that begins a session

    def admits(self, agent: ServiceAgent, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the caller has the key."""
        return hmac.compare_digest(headers.get("Authorization", ""), f"Bearer {agent.key}")

    def error(self, words: str) -> dict[str, Any]:
        """A refusal."""
        return {"error": words}

    def starts(self, method: str, path: str) -> bool:
        """Whether this request begins a session."""
        return method == "POST" and path == self.start

    def answer(self, ask: ApiRequest) -> dict[str, Any]:
        """Do what is asked. Raises `Refused`."""
        raise NotImplementedError


class CursorFace(ProviderApi):
    """Cursor's cloud agents, API v0."""

    actor = "cursor[bot]"
    start = "/v0/agents"
    states: ClassVar = {
        "queued": "CREATING",
        "working": "RUNNING",
        "done": "FINISHED",
        "failed": "ERROR",
        "no-credit": "ERROR",
        "stopped": "STOPPED",
    }

    def error(self, words: str) -> dict[str, Any]:
        """A refusal in this service's form."""
        return {"error": {"message": words}}

    def answer(self, ask: ApiRequest) -> dict[str, Any]:
        """Do what is asked. Raises `Refused`."""
        match ask.method, *ask.path.strip("/").split("/"):
            case "GET", "v0", "me":
                return {"apiKeyName": "orchestrator", "userEmail": "team@example.com"}
            case "POST", "v0", "agents":
                told = ask.body
                repository = ask.services.repository(told["source"]["repository"])
                target = told.get("target", {})
                session = ask.agent.begin(
                    repository,
                    title="",
                    prompt=told["prompt"]["text"],
                    told=told,
                    branch=target.get("branchName", ""),
                    base=told["source"].get("ref", ""),
                )
                return self._agent(ask, session)
            case "GET", "v0", "agents":
                return {"agents": [self._agent(ask, s) for s in reversed(ask.agent.sessions)]}
            case "GET", "v0", "agents", session_id:
                return self._agent(ask, ask.session(session_id))
            case "GET", "v0", "agents", session_id, "conversation":
                session = ask.session(session_id)
                asked = [{"id": "m0", "type": "user_message", "text": session.prompt}]
                said = [{"id": f"m{n}", "type": "assistant_message", "text": t} for n, t in enumerate(session.says, 1)]
                return {"id": session_id, "messages": asked + said}
            case "POST", "v0", "agents", session_id, "followup":
                ask.session(session_id).said.append(ask.body["prompt"]["text"])
                return {"id": session_id}
            case "POST", "v0", "agents", session_id, "stop":
                if not ask.agent.stop(ask.session(session_id)):
                    raise Refused(409, "the agent is not running")
                return {"id": session_id}
        raise Refused(404, "no such path")

    def _agent(self, ask: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        return {
            "id": session.id,
            "name": "An agent",
            "status": self.states[session.state],
            "source": {"repository": f"{ask.services.hub.url}/{session.repository.full_name}", "ref": session.base},
            "target": {
                "branchName": session.branch,
                "url": ask.page(session),
                "autoCreatePr": session.told.get("target", {}).get("autoCreatePr", False),
                **({"prUrl": ask.pull(session)} if session.pull else {}),
            },
            "createdAt": "2026-03-02T09:00:00Z",
        }


class JulesFace(ProviderApi):
    """Google's Jules, API v1alpha."""

    actor = "google-labs-jules[bot]"
    own_branches = "jules-"
    start = "/v1alpha/sessions"
    states: ClassVar = {
        "queued": "QUEUED",
        "working": "IN_PROGRESS",
        "done": "COMPLETED",
        "failed": "FAILED",
        "no-credit": "FAILED",
    }

    def admits(self, agent: ServiceAgent, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the caller has the key."""
        return hmac.compare_digest(headers.get("X-Goog-Api-Key", ""), agent.key)

    def error(self, words: str) -> dict[str, Any]:
        """A refusal in this service's form."""
        return {"error": {"code": 0, "message": words, "status": "FAILED"}}

    def answer(self, ask: ApiRequest) -> dict[str, Any]:
        """Do what is asked. Raises `Refused`."""
        match ask.method, *ask.path.strip("/").split("/"):
            case "GET", "v1alpha", "sources":
                known = ask.services.hub.repositories.values() if ask.agent.knows == "all" else ()
                return {
                    "sources": [
                        {
                            "name": f"sources/github/{one.full_name}",
                            "id": f"github/{one.full_name}",
                            "githubRepo": {"owner": one.owner.login, "repo": one.name},
                        }
                        for one in known
                    ]
                }
            case "POST", "v1alpha", "sessions":
                told = ask.body
                repository = ask.services.repository(told["sourceContext"]["source"])
                base = told["sourceContext"].get("githubRepoContext", {}).get("startingBranch", "")
                session = ask.agent.begin(
                    repository, title=told.get("title", ""), prompt=told["prompt"], told=told, base=base
                )
                return self._session(ask, session)
            case "GET", "v1alpha", "sessions":
                return {"sessions": [self._session(ask, s) for s in self._there(ask)]}
            case "GET", "v1alpha", "sessions", session_id:
                session = ask.session(session_id)
                if session.state == "stopped":
                    raise Refused(404, "deleted")
                return self._session(ask, session)
            case "GET", "v1alpha", "sessions", session_id, "activities":
                said = [
                    {"originator": "agent", "agentMessaged": {"agentMessage": t}} for t in ask.session(session_id).says
                ]
                return {"activities": [{"originator": "agent", "planGenerated": {"plan": {"steps": []}}}, *said]}
            case "POST", "v1alpha", "sessions", action if action.endswith(":sendMessage"):
                ask.session(action.removesuffix(":sendMessage")).said.append(ask.body["prompt"])
                return {}
            case "DELETE", "v1alpha", "sessions", session_id:
                session = ask.session(session_id)
                ask.agent.stop(session)
                session.state = "stopped"
                return {}
        raise Refused(404, "no such path")

    def _there(self, ask: ApiRequest) -> list[ServiceSession]:
        return [s for s in reversed(ask.agent.sessions) if s.state != "stopped"]

    def _session(self, ask: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        pull = ask.pull(session)
        return {
            "name": f"sessions/{session.id}",
            "id": session.id,
            "title": session.title,
            "prompt": session.prompt,
            "state": self.states[session.state],
            "url": ask.page(session),
            "createTime": "2026-03-02T09:00:00Z",
            **({"outputs": [{"pullRequest": {"url": pull, "title": "", "description": ""}}]} if pull else {}),
        }


class DevinFace(ProviderApi):
    """Devin, API v1."""

    actor = "devin-ai-integration[bot]"
    start = "/v1/sessions"
    states: ClassVar = {
        "queued": ("claimed", None),
        "working": ("working", None),
        "done": ("finished", None),
        "failed": ("error", None),
        "stopped": ("stopped", None),
        "no-credit": ("suspended", "out_of_credits"),
    }

    def error(self, words: str) -> dict[str, Any]:
        """A refusal in this service's form."""
        return {"detail": words}

    def answer(self, ask: ApiRequest) -> dict[str, Any]:
        """Do what is asked. Raises `Refused`."""
        match ask.method, *ask.path.strip("/").split("/"):
            case "POST", "v1", "sessions":
                same = [s for s in ask.agent.sessions if s.prompt == ask.body["prompt"]]
                if ask.body.get("idempotent") and same:
                    return self._begun(ask, same[0], new=False)
                named = re.search(r"^Repository: (\S+)$", ask.body["prompt"], re.MULTILINE)
                if named is None:
                    raise Refused(400, "the prompt names no repository")
                session = ask.agent.begin(
                    ask.services.repository(named[1]),
                    title=ask.body.get("title", ""),
                    prompt=ask.body["prompt"],
                    told=ask.body,
                )
                return self._begun(ask, session, new=True)
            case "GET", "v1", "sessions":
                wanted = ask.query.get("tags")
                found = [s for s in ask.agent.sessions if not wanted or wanted in s.told.get("tags", [])]
                return {"sessions": [self._session(ask, s) for s in found]}
            case "GET", "v1", "sessions", session_id:
                return self._session(ask, ask.session(session_id))
            case "POST", "v1", "sessions", session_id, "message":
                ask.session(session_id).said.append(ask.body["message"])
                return {"detail": "sent"}
            case "DELETE", "v1", "sessions", session_id:
                ask.agent.stop(ask.session(session_id))
                return {"detail": "terminated"}
        raise Refused(404, "no such path")

    def _begun(self, ask: ApiRequest, session: ServiceSession, *, new: bool) -> dict[str, Any]:
        return {"session_id": session.id, "url": ask.page(session), "is_new_session": new}

    def _session(self, ask: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        status, detail = self.states[session.state]
        pull = ask.pull(session)
        return {
            "session_id": session.id,
            "status": status,
            "status_enum": status,
            "status_detail": detail,
            "title": session.title,
            "tags": session.told.get("tags", []),
            "pull_request": {"url": pull} if pull else None,
            "structured_output": None,
            "messages": [
                {"type": "initial_user_message", "message": session.prompt},
                *({"type": "devin_message", "message": text} for text in session.says),
            ],
        }
