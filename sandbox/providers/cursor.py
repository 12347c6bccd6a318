"""Cursor's cloud agents, API v0."""

from __future__ import annotations

from typing import Any, ClassVar

from sandbox.providers.base import ApiRequest, ProviderApi, RequestRefused
from sandbox.providers.sessions import ServiceSession


class CursorApi(ProviderApi):
    """The paths, bodies and states of Cursor's API, as its documentation shows them."""

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

    def error(self, message: str) -> dict[str, Any]:
        """An error body as this service writes it."""
        return {"error": {"message": message}}

    def handle(self, request: ApiRequest) -> dict[str, Any]:
        """Handle a request. Raises `RequestRefused`."""
        match request.method, *request.path.strip("/").split("/"):
            case "GET", "v0", "me":
                return {"apiKeyName": "orchestrator", "userEmail": "team@example.com"}
            case "POST", "v0", "agents":
                body = request.body
                repository = request.server.repository(body["source"]["repository"])
                target = body.get("target", {})
                session = request.agent.start(
                    repository,
                    title="",
                    prompt=body["prompt"]["text"],
                    body=body,
                    branch=target.get("branchName", ""),
                    base=body["source"].get("ref", ""),
                )
                return self._agent(request, session)
            case "GET", "v0", "agents":
                return {"agents": [self._agent(request, session) for session in reversed(request.agent.sessions)]}
            case "GET", "v0", "agents", session_id:
                return self._agent(request, request.session(session_id))
            case "GET", "v0", "agents", session_id, "conversation":
                session = request.session(session_id)
                prompts = [{"id": "m0", "type": "user_message", "text": session.prompt}]
                replies = [
                    {"id": f"m{number}", "type": "assistant_message", "text": text}
                    for number, text in enumerate(session.messages, 1)
                ]
                return {"id": session_id, "messages": prompts + replies}
            case "POST", "v0", "agents", session_id, "followup":
                request.session(session_id).followups.append(request.body["prompt"]["text"])
                return {"id": session_id}
            case "POST", "v0", "agents", session_id, "stop":
                if not request.agent.stop(request.session(session_id)):
                    raise RequestRefused(409, "the agent is not running")
                return {"id": session_id}
        raise RequestRefused(404, "no such path")

    def _agent(self, request: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        return {
            "id": session.id,
            "name": "An agent",
            "status": self.states[session.state],
            "source": {"repository": f"{request.server.hub.url}/{session.repository.full_name}", "ref": session.base},
            "target": {
                "branchName": session.branch,
                "url": request.page(session),
                "autoCreatePr": session.body.get("target", {}).get("autoCreatePr", False),
                **({"prUrl": request.pull(session)} if session.pull else {}),
            },
            "createdAt": "2026-03-02T09:00:00Z",
        }
