"""Defines what the HTTP adapter needs from a service: its requests and its responses.

Each service is one small class with its terms as data. `adapters.agents.http` has what they share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from adapters.agents.base import RepositoryContext
from adapters.agents.service_client import ServiceClient
from core.assignment.session_output import answer
from core.task.model import Role, SessionState


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One attempt, as a service receives it."""

    repository: str  # owner/name
    address: str  # of the repository, as a web page
    number: int
    attempt: int
    agent: str
    branch: str
    base: str
    title: str
    prompt: str  # the hand-off as Markdown
    packet: Mapping[str, Any]

    @property
    def works(self) -> bool:
        """Whether a pull request is wanted; else only text is, a plan or a verdict."""
        return bool(self.packet.get("role", Role.IMPLEMENT) == Role.IMPLEMENT)

    @property
    def key(self) -> str:
        """What makes it the same work when it is asked for twice: `owner/name task/12-1`."""
        return f"{self.repository} {self.branch}"


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a service, in the bot's terms."""

    id: str
    state: SessionState
    url: str = ""
    pull: str = ""  # the address of its pull request
    detail: str = ""  # how it ended, as the predicate of a sentence
    used_up: str = ""  # why it cannot continue, without fault of its own
    words: str = ""  # what it said last, where that comes with the rest


class Service(Protocol):
    """A kind of service."""

    name: ClassVar[str]  # as people call it
    variable: ClassVar[str]  # the environment variable of its key
    address: ClassVar[str]  # where it is, unless the operator says otherwise

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """The headers that authenticate the bot."""
        ...

    async def check(self, line: ServiceClient, site: RepositoryContext) -> tuple[str, ...]:
        """What prevents it from working here, with a valid key. Raises what the client raises."""
        ...

    async def begin(self, line: ServiceClient, job: AgentRequest) -> Session:
        """Start a session."""
        ...

    async def find(self, line: ServiceClient, job: AgentRequest) -> Session | None:
        """The session of this attempt, however it was started."""
        ...

    async def look(self, line: ServiceClient, session: str, job: AgentRequest) -> Session:
        """The state of a session. Raises `NotFound` if it does not exist."""
        ...

    async def words(self, line: ServiceClient, session: Session, job: AgentRequest) -> str:
        """Its last message, or the newest one that is a plan or a verdict, if there is one (`last_words`)."""
        ...

    async def say(self, line: ServiceClient, session: str, job: AgentRequest, text: str) -> None:
        """Send it a message while it works."""
        ...

    async def stop(self, line: ServiceClient, session: str, job: AgentRequest) -> None:
        """Stop it."""
        ...


def text_of(data: Any, *path: str) -> str:
    """The text at this path of a JSON object; empty if there is none."""
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data if isinstance(data, str) else ""


def objects(data: Any, key: str) -> list[dict[str, Any]]:
    """The objects in a list of a JSON object."""
    found = data.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def last_words(messages: Sequence[str]) -> str:
    """Of an agent's messages, oldest first, the one that counts: the newest that is an answer, else the last.

    Many end with a friendly word after what they were asked for.
    """
    for message in reversed(messages):
        if any(answer(message, role, 0, ended=False) for role in (Role.PLAN, Role.REVIEW)):
            return message
    return messages[-1] if messages else ""
