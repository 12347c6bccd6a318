"""Reads the tokens by which agents authenticate to the bot's own endpoints."""

import re
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from config.agent_kinds import NAME_PATTERN
from config.labels import MAX_NAME_LENGTH
from config.problems import validation_error

MIN_TOKEN_LENGTH: Final = 32  # characters; `openssl rand -hex 32` gives 64
MAX_TOKEN_LENGTH: Final = 500
_REPOSITORY_PATTERN: Final = r"[A-Za-z0-9._-]{1,39}/[A-Za-z0-9._-]{1,100}"


@dataclass(frozen=True, slots=True)
class AgentToken:
    """One token: for an agent in one repository, or for the agent of that name in every repository."""

    agent: str
    token: SecretStr
    repository: str | None = None  # owner/name

    def covers(self, repository: str, agent: str) -> bool:
        """Whether the bearer of this token may speak for this agent in this repository."""
        return self.agent == agent and self.repository in (None, repository.lower())


def read_agent_tokens(value: object) -> object:
    """Parse `codex=token,acme/shop/claude=token`. Error messages never contain a token."""
    if not isinstance(value, str):
        return value
    return tuple(_parse_entry(number, part.strip()) for number, part in enumerate(value.split(","), 1))


def _parse_entry(number: int, text: str) -> AgentToken:
    name, separator, token = text.partition("=")
    name, token = name.strip(), token.strip()
    if not separator:
        raise validation_error(f"has an entry (number {number}) that is not agent=token or owner/repo/agent=token")
    repository, _, agent = name.rpartition("/")
    is_valid_name = re.fullmatch(NAME_PATTERN, agent, re.ASCII) and len(agent) <= MAX_NAME_LENGTH
    if not is_valid_name or (repository and not re.fullmatch(_REPOSITORY_PATTERN, repository, re.ASCII)):
        raise validation_error(
            f"names no agent in entry {number}: write agent=token, or owner/repo/agent=token for one repository"
        )
    if (
        not MIN_TOKEN_LENGTH <= len(token) <= MAX_TOKEN_LENGTH
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise validation_error(
            f"has a token (entry {number}) that is not {MIN_TOKEN_LENGTH} to {MAX_TOKEN_LENGTH} plain characters: "
            "make one with `openssl rand -hex 32`"
        )
    return AgentToken(agent, SecretStr(token), repository.lower() or None)
