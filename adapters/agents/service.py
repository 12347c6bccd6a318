"""What the HTTP adapter needs to know of a service: how it is asked, and how its answers read.

Each service is one small class with its words as data. What they share stands in `adapters.agents.http`.
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
    """One attempt, as a service is told of it."""

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
        """Whether a pull request is wanted; else only words are, a plan or a verdict."""
        return bool(self.packet.get("role", Role.IMPLEMENT) == Role.IMPLEMENT)

    @property
    def key(self) -> str:
        """What makes it the same work when it is asked for twice: `owner/name task/12-1`."""
        return f"{self.repository} {self.branch}"


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a service, in our vocabulary."""

    id: str
    state: SessionState
    url: str = ""
    pull: str = ""  # the address of its pull request
    detail: str = ""  # how it ended, as the predicate of a sentence
    used_up: str = ""  # it cannot go on, and that is nobody's fault: why
    words: str = ""  # what it said last, where that comes with the rest


class Service(Protocol):
    """A kind of service."""

    name: ClassVar[str]  # as people call it
    variable: ClassVar[str]  # the environment variable of its key
    address: ClassVar[str]  # where it is, unless the operator says otherwise

    def headers(self, key: str, body: bytes) -> Mapping[str, str]:
        """By what it knows us."""
        ...

    async def check(self, line: ServiceClient, site: RepositoryContext) -> tuple[str, ...]:
        """What keeps it from working here, once the key is good. Raises what the line raises."""
        ...

    async def begin(self, line: ServiceClient, job: AgentRequest) -> Session:
        """Have it work."""
        ...

    async def find(self, line: ServiceClient, job: AgentRequest) -> Session | None:
        """The session of this very attempt, however it was begun."""
        ...

    async def look(self, line: ServiceClient, session: str, job: AgentRequest) -> Session:
        """How a session goes; `NoSuchThing` when it is not there."""
        ...

    async def words(self, line: ServiceClient, session: Session, job: AgentRequest) -> str:
        """What it said last; with the newest that is a plan or a verdict, if there is one (`last_words`)."""
        ...

    async def say(self, line: ServiceClient, session: str, job: AgentRequest, text: str) -> None:
        """Tell it something while it works."""
        ...

    async def stop(self, line: ServiceClient, session: str, job: AgentRequest) -> None:
        """Have it stop."""
        ...


def text_of(data: Any, *path: str) -> str:
    """The text at this path of a JSON object; empty where there is none."""
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
