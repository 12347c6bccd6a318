"""Devin, API v1."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sandbox.providers.base import ApiRequest, ProviderApi, RequestRefused
from sandbox.providers.sessions import ServiceSession


class DevinApi(ProviderApi):
    """The paths, bodies and states of Devin's API, as its documentation shows them."""

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

    def error(self, message: str) -> dict[str, Any]:
        """An error body as this service writes it."""
        return {"detail": message}

    def handle(self, request: ApiRequest) -> dict[str, Any]:
        """Handle a request. Raises `RequestRefused`."""
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "v1", "sessions":
                same_prompt = [
                    session for session in request.agent.sessions if session.prompt == request.body["prompt"]
                ]
                if request.body.get("idempotent") and same_prompt:
                    return self._started(request, same_prompt[0], new=False)
                match = re.search(r"^Repository: (\S+)$", request.body["prompt"], re.MULTILINE)
                if match is None:
                    raise RequestRefused(400, "the prompt names no repository")
                session = request.agent.start(
                    request.server.repository(match[1]),
                    title=request.body.get("title", ""),
                    prompt=request.body["prompt"],
                    body=request.body,
                )
                return self._started(request, session, new=True)
            case "GET", "v1", "sessions":
                tag = request.query.get("tags")
                sessions = [s for s in request.agent.sessions if not tag or tag in s.body.get("tags", [])]
                return {"sessions": [self._session(request, s) for s in sessions]}
            case "GET", "v1", "sessions", session_id:
                return self._session(request, request.session(session_id))
            case "POST", "v1", "sessions", session_id, "message":
                request.session(session_id).followups.append(request.body["message"])
                return {"detail": "sent"}
            case "DELETE", "v1", "sessions", session_id:
                request.agent.stop(request.session(session_id))
                return {"detail": "terminated"}
        raise RequestRefused(404, "no such path")

    def _started(self, request: ApiRequest, session: ServiceSession, *, new: bool) -> dict[str, Any]:
        return {"session_id": session.id, "url": request.page(session), "is_new_session": new}

    def _session(self, request: ApiRequest, session: ServiceSession) -> dict[str, Any]:
        status, detail = self.states[session.state]
        pull = request.pull(session)
        return {
            "session_id": session.id,
            "status": status,
            "status_enum": status,
            "status_detail": detail,
            "title": session.title,
            "tags": session.body.get("tags", []),
            "pull_request": {"url": pull} if pull else None,
            "structured_output": None,
            "messages": [
                {"type": "initial_user_message", "message": session.prompt},
                *({"type": "devin_message", "message": text} for text in session.messages),
            ],
        }
