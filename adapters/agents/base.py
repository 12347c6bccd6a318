"""Defines the contract of every agent adapter.

An adapter translates; it decides nothing. What an agent does returns as signals, and `core` decides what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import aiohttp
from pydantic import SecretStr

from adapters.github import GitHub
from adapters.github.user_client import UserClient
from config.agent_kinds import AgentBase
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen


@dataclass(frozen=True, slots=True)
class Services:
    """What reaches agents outside GitHub: a connection, and the operator's settings for each kind or preset.

    A key is sent only to the address that the same operator set: no repository's configuration can redirect it.
    """

    http: aiohttp.ClientSession
    keys: Mapping[str, SecretStr]
    urls: Mapping[str, str] = field(default_factory=dict)  # of presets
    allows_internal_urls: bool = False  # whether agents with a `url` may be on internal addresses
    user_client: UserClient | None = None  # GitHub as the person of GITHUB_USER_TOKEN sees it
    result_secrets: tuple[SecretStr, ...] = ()  # authenticate the results of runs; the first one makes new keys


@dataclass(frozen=True, slots=True)
class RepositoryContext:
    """Where an agent is started: one repository, as the App sees it."""

    github: GitHub
    repository: str  # owner/name
    default_branch: str
    bot_id: int  # the numeric id of our bot user
    services: Services
    now: datetime
    bot_login: str = ""  # `mcp-orchestrator[bot]`
    server_url: str = "https://github.com"  # of GitHub's pages
    repository_id: int = 0


@dataclass(frozen=True, slots=True)
class StartResult:
    """The start call was accepted: the session by which the work is found again, where there is one, and its page."""

    session: str | None = None
    url: str = ""


class CannotStart(Exception):
    """The agent cannot be started here. The text says what a person must fix."""


class Unavailable(Exception):
    """The agent takes no work now, without fault: its rate limit, its credit, its service.

    `until` (aware) is when it may be asked again; None leaves that to the bot.
    """

    def __init__(self, reason: str, retry_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


class AgentAdapter(Protocol):
    """What the bot asks of an agent."""

    async def probe(self, context: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """What prevents the agent from being started here, in words a person can act on; empty if nothing does."""
        ...

    async def start(
        self, context: RepositoryContext, spec: AgentBase, effect: StartAgent, *, is_retry: bool
    ) -> StartResult:
        """Start the agent on the sealed packet; `is_retry` if an earlier call's result is unknown: look first.

        Returning proves only that the call was accepted. Raises `CannotStart`, `Unavailable`, or what the client
        raises.
        """
        ...

    async def poll(self, context: RepositoryContext, spec: AgentBase, effect: PollAgent) -> AgentSeen | None:
        """The state of the attempt; None if there is no trace of it.

        Raises `Unavailable` if the agent cannot continue for lack of credit, or what the client raises.
        """
        ...

    async def send_message(self, context: RepositoryContext, spec: AgentBase, effect: MessageAgent) -> bool:
        """Send `order.text` to a working agent; False if it receives no messages or is not there.

        If an earlier call's result is unknown it is sent again: twice is better than never.
        """
        ...

    async def cancel(self, context: RepositoryContext, spec: AgentBase, effect: CancelAgent) -> None:
        """Ask the agent to stop; no error if it already has."""
        ...
