"""Google's Jules, API v1alpha."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, ClassVar

from sandbox.providers.base import ApiRequest, ProviderApi, RequestRefused
from sandbox.providers.sessions import ServiceAgent, ServiceSession


class JulesApi(ProviderApi):
    """The paths, bodies and states of the Jules API, as its documentation shows them."""

    actor = "google-labs-jules[bot]"
    branch_prefix = "jules-"
    start = "/v1alpha/sessions"
    states: ClassVar = {
        "queued": "QUEUED",
        "working": "IN_PROGRESS",
        "done": "COMPLETED",
        "failed": "FAILED",
        "no-credit": "FAILED",
    }

    def is_authorized(self, agent: ServiceAgent, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the request carries the key."""
        return hmac.compare_digest(headers.get("X-Goog-Api-Key", ""), agent.key)

    def error(self, message: str) -> dict[str, Any]:
        """An error body as this service writes it."""
        return {"error": {"code": 0, "message": message, "status": "FAILED"}}

    def handle(self, request: ApiRequest) -> dict[str, Any]:
        """Handle a request. Raises `RequestRefused`."""
        match request.method, *request.path.strip("/").split("/"):
            case "GET", "v1alpha", "sources":
                repositories = (
                    request.server.hub.repositories.values() if request.agent.connected_repositories == "all" else ()
                )
                return {
                    "sources": [
                        {
                            "name": f"sources/github/{repository.full_name}",
                            "id": f"github/{repository.full_name}",
                            "githubRepo": {"owner": repository.owner.login, "repo": repository.name},
                        }
                        for repository in repositories
                    ]
                }
            case "POST", "v1alpha", "sessions":
                body = request.body
                repository = request.server.repository(body["sourceContext"]["source"])
                base = body["sourceContext"].get("githubRepoContext", {}).get("startingBranch", "")
                session = request.agent.start(
                    repository, title=body.get("title", ""), prompt=body["prompt"], body=body, base=base
                )
                return self._session(request, session)
            case "GET", "v1alpha", "sessions":
                return {"sessions": [self._session(request, session) for session in self._undeleted_sessions(request)]}
            case "GET", "v1alpha", "sessions", session_id:
                session = request.session(session_id)
                if session.state == "stopped":
                    raise RequestRefused(404, "deleted")
                return self._session(request, session)
            case "GET", "v1alpha", "sessions", session_id, "activities":
                replies = [
                    {"originator": "agent", "agentMessaged": {"agentMessage": text}}
                    for text in request.session(session_id).messages
                ]
                return {"activities": [{"originator": "agent", "planGenerated": {"plan": {"steps": []}}}, *replies]}
            case "POST", "v1alpha", "sessions", action if action.endswith(":sendMessage"):
                request.session(action.removesuffix(":sendMessage")).followups.append(request.body["prompt"])
                return {}
            case "DELETE", "v1alpha", "sessions", session_id:
                session = request.session(session_id)
                request.agent.stop(session)
                session.state = "stopped"
                return {}
        raise RequestRefused(404, "no such path")

    def _undeleted_sessions(self, request: ApiRequest) -> list[ServiceSession]:
        return [session for session in reversed(request.agent.sessions) if session.state != "stopped"]

    def _session(self, request: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        pull = request.pull(session)
        return {
            "name": f"sessions/{session.id}",
            "id": session.id,
            "title": session.title,
            "prompt": session.prompt,
            "state": self.states[session.state],
            "url": request.page(session),
            "createTime": "2026-03-02T09:00:00Z",
            **({"outputs": [{"pullRequest": {"url": pull, "title": "", "description": ""}}]} if pull else {}),
        }
