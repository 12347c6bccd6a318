"""What the simulated services share: the request, the key check and the error body."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from sandbox.hub import Hub
from sandbox.providers.sessions import ServiceAgent, ServiceSession
from sandbox.state.models import Repository


class RequestRefused(Exception):
    """The service refuses a request with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ServiceHost(Protocol):
    """The server of all services, as far as one service uses it."""

    hub: Hub

    def repository(self, full_name: str) -> Repository:
        """A repository of the sandbox by its name or address. Raises `RequestRefused`."""
        ...


@dataclass(frozen=True)
class ApiRequest:
    """One request to a service, after its key was checked. `url` is the service's address."""

    server: ServiceHost
    agent: ServiceAgent
    method: str
    path: str
    query: Mapping[str, str]
    body: dict[str, Any]
    url: str

    def session(self, session_id: str) -> ServiceSession:
        """The session of this id. Raises `RequestRefused`."""
        session = self.agent.session(session_id)
        if session is None:
            raise RequestRefused(404, "not found")
        return session

    def page(self, session: ServiceSession) -> str:
        """The address of a session's page."""
        return f"{self.url}/pages/{session.id}"

    def pull(self, session: ServiceSession) -> str | None:
        """The address of a session's pull request."""
        hub = self.server.hub
        return f"{hub.url}/{session.repository.full_name}/pull/{session.pull}" if session.pull else None


class ProviderApi:
    """A service's API with what most of them share: a bearer token, and an error in an object."""

    actor: ClassVar[str]
    branch_prefix: ClassVar[str | None] = None
    start: ClassVar[str]  # the path that starts a session

    def is_authorized(self, agent: ServiceAgent, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the request carries the key."""
        return hmac.compare_digest(headers.get("Authorization", ""), f"Bearer {agent.key}")

    def error(self, message: str) -> dict[str, Any]:
        """An error body."""
        return {"error": message}

    def is_start(self, method: str, path: str) -> bool:
        """Whether this request starts a session."""
        return method == "POST" and path == self.start

    def handle(self, request: ApiRequest) -> dict[str, Any]:
        """Handle a request. Raises `RequestRefused`."""
        raise NotImplementedError
