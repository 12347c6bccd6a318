"""Defines what the HTTP adapter needs from a service: its requests and its responses.

Each service is one small class with its terms as data. `adapters.agents.http` has what they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from adapters.agents.base import RepositoryContext
from adapters.agents.service_client import ServiceClient
from core.assignment.session_output import parse_session_output
from core.task.model import Role, SessionState


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One attempt, as a service receives it."""

    repository: str  # owner/name
    repository_url: str  # of the repository, as a web page
    number: int
    attempt: int
    agent: str
    branch: str
    base: str
    title: str
    prompt: str  # the hand-off as Markdown
    packet: Mapping[str, Any]

    @property
    def expects_pull(self) -> bool:
        """Whether a pull request is wanted; else only text is, a plan or a verdict."""
        return bool(self.packet.get("role", Role.IMPLEMENT) == Role.IMPLEMENT)

    @property
    def key(self) -> str:
        """What makes it the same work when it is asked for twice: `owner/name task/12-1`."""
        return f"{self.repository} {self.branch}"


@dataclass(frozen=True, slots=True)
class ServiceSession:
    """A session of a service, in the bot's terms."""

    id: str
    state: SessionState
    url: str = ""
    pull_url: str = ""  # the address of its pull request
    detail: str = ""  # how it ended, as the predicate of a sentence
    unavailable_reason: str = ""  # why it cannot continue, without fault of its own
    output: str = ""  # what it said last, where that comes with the rest


class Service(Protocol):
    """A kind of service."""

    name: ClassVar[str]  # as people call it
    key_variable: ClassVar[str]  # the environment variable of its key
    default_url: ClassVar[str]  # where it is, unless the operator says otherwise

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """The headers that authenticate the bot."""
        ...

    async def check(self, client: ServiceClient, context: RepositoryContext) -> tuple[str, ...]:
        """What prevents it from working here, with a valid key. Raises what the client raises."""
        ...

    async def start_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession:
        """Start a session."""
        ...

    async def find_session(self, client: ServiceClient, request: AgentRequest) -> ServiceSession | None:
        """The session of this attempt, however it was started."""
        ...

    async def get_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> ServiceSession:
        """The state of a session. Raises `NotFound` if it does not exist."""
        ...

    async def read_output(self, client: ServiceClient, session: ServiceSession, request: AgentRequest) -> str:
        """Its last message, or the newest one that is a plan or a verdict, if there is one (`select_output`)."""
        ...

    async def send_message(self, client: ServiceClient, session_id: str, request: AgentRequest, text: str) -> None:
        """Send it a message while it works."""
        ...

    async def stop_session(self, client: ServiceClient, session_id: str, request: AgentRequest) -> None:
        """Stop it."""
        ...


def text_at(data: Any, *path: str) -> str:
    """The text at this path of a JSON object; empty if there is none."""
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data if isinstance(data, str) else ""


def objects(data: Any, key: str) -> list[dict[str, Any]]:
    """The objects in a list of a JSON object."""
    value = data.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def select_output(messages: Sequence[str]) -> str:
    """Of an agent's messages, oldest first, the one that counts: the newest that is an answer, else the last.

    Many end with a friendly word after what they were asked for.
    """
    for message in reversed(messages):
        if any(parse_session_output(message, role, 0, ended=False) for role in (Role.PLAN, Role.REVIEW)):
            return message
    return messages[-1] if messages else ""
