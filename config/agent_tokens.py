"""The tokens by which agents prove who they are to our own endpoints."""

import re
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from config.agent_kinds import NAME_PATTERN
from config.labels import MAX_NAME_LENGTH
from config.problems import mistake

SHORTEST: Final = 32  # characters; `openssl rand -hex 32` gives 64
LONGEST: Final = 500
_REPOSITORY: Final = r"[A-Za-z0-9._-]{1,39}/[A-Za-z0-9._-]{1,100}"


@dataclass(frozen=True, slots=True)
class AgentToken:
    """One token: of an agent in one repository, or of the agent of that name in every repository."""

    agent: str
    token: SecretStr
    repository: str | None = None  # owner/name

    def covers(self, repository: str, agent: str) -> bool:
        """Whether whoever has this token may speak for this agent there."""
        return self.agent == agent and self.repository in (None, repository.lower())


def read_agent_tokens(value: object) -> object:
    """`codex=token,acme/shop/claude=token` → the tokens. Messages never contain one."""
    if not isinstance(value, str):
        return value
    return tuple(_entry(number, part.strip()) for number, part in enumerate(value.split(","), 1))


def _entry(number: int, text: str) -> AgentToken:
    who, sign, token = text.partition("=")
    who, token = who.strip(), token.strip()
    if not sign:
        raise mistake(f"has an entry (number {number}) that is not agent=token or owner/repo/agent=token")
    repository, _, agent = who.rpartition("/")
    named = re.fullmatch(NAME_PATTERN, agent, re.ASCII) and len(agent) <= MAX_NAME_LENGTH
    if not named or (repository and not re.fullmatch(_REPOSITORY, repository, re.ASCII)):
        raise mistake(
            f"names no agent in entry {number}: write agent=token, or owner/repo/agent=token for one repository"
        )
    if not SHORTEST <= len(token) <= LONGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise mistake(
            f"has a token (entry {number}) that is not {SHORTEST} to {LONGEST} plain characters: "
            "make one with `openssl rand -hex 32`"
        )
    return AgentToken(agent, SecretStr(token), repository.lower() or None)
