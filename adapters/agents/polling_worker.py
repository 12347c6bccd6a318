"""Offers work to agents that fetch it themselves.

The offer is the task's lease. The agent accepts it by its first message (`/claim`, a heartbeat, the API), and until
then its silence means nothing: see `AgentBase.fetches_work`.
"""

from __future__ import annotations

from adapters.agents.base import CannotStart, RepositoryContext, Started
from config.agent_kinds import AgentBase, PullAgent
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen


class PullAdapter:
    """Offers work without starting anything."""

    async def probe(self, site: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Nothing can be missing: the agent fetches work or does not."""
        return ()

    async def start(self, site: RepositoryContext, spec: AgentBase, order: StartAgent, *, again: bool) -> Started:
        """Nothing to do: the lease and its packet are the offer."""
        if not isinstance(spec, PullAgent):
            raise CannotStart(f"the pull adapter cannot start an agent of kind {type(spec).__name__}")
        return Started()

    async def poll(self, site: RepositoryContext, spec: AgentBase, order: PollAgent) -> AgentSeen | None:
        """Returns None: signs of life come from the agent."""
        return None

    async def steer(self, site: RepositoryContext, spec: AgentBase, order: MessageAgent) -> bool:
        """Returns False: the next attempt carries the feedback."""
        return False

    async def cancel(self, site: RepositoryContext, spec: AgentBase, order: CancelAgent) -> None:
        """Nothing to do: the lease is gone, so whatever the agent still sends is late."""
