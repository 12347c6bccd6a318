"""The contract of every agent, whatever it is and wherever it runs.

An adapter translates; it decides nothing. What an agent does comes back as signals, and what becomes of them is the
business of `core`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapters.github import GitHub
from config.agent_kinds import AgentBase
from core.effects import CancelAgent, PollAgent, StartAgent
from core.signals import RunSeen


@dataclass(frozen=True, slots=True)
class Site:
    """Where an agent is started: one repository, as our App sees it."""

    github: GitHub
    repository: str  # owner/name
    default_branch: str
    bot_id: int  # the numeric id of our bot user


class CannotStart(Exception):
    """The agent cannot be started here. The text says what a person must mend."""


class AgentAdapter(Protocol):
    """What the bot asks of an agent."""

    async def probe(self, site: Site, spec: AgentBase) -> tuple[str, ...]:
        """What keeps the agent from being started here, in words a person can act on; empty when nothing does."""
        ...

    async def start(self, site: Site, spec: AgentBase, order: StartAgent, *, again: bool) -> None:
        """Start the agent on the sealed packet; `again` when an earlier call's fate is unknown: look first.

        Returning proves nothing but that the call was accepted. Raises `CannotStart`, or what the client raises.
        """
        ...

    async def poll(self, site: Site, spec: AgentBase, order: PollAgent) -> RunSeen | None:
        """How the attempt goes; None when there is no trace of it."""
        ...

    async def steer(self, site: Site, spec: AgentBase, order: StartAgent, text: str) -> bool:
        """Send feedback to an agent at work; False where the agent takes none and a new attempt must carry it."""
        ...

    async def cancel(self, site: Site, spec: AgentBase, order: CancelAgent) -> None:
        """Ask the agent to stop; no error if it already has."""
        ...
