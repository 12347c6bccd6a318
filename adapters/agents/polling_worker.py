"""The pull adapter: an agent that comes for its work itself. Nobody is called; what is offered waits to be fetched.

The offer is the task's lease. The agent takes it up by its first word (`/claim`, a heartbeat, the API), and until then
its silence says nothing about it: see `AgentBase.comes_for_work`.
"""

from __future__ import annotations

from adapters.agents.base import CannotStart, RepositoryContext, Started
from config.agent_kinds import AgentBase, PullAgent
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen


class PullAdapter:
    """Offers work, and calls nobody."""

    async def probe(self, site: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Nothing can be missing: the agent comes or does not."""
        return ()

    async def start(self, site: RepositoryContext, spec: AgentBase, order: StartAgent, *, again: bool) -> Started:
        """Offer the work: the lease is there already, and the packet with it."""
        if not isinstance(spec, PullAgent):
            raise CannotStart(f"the pull adapter cannot start an agent of kind {type(spec).__name__}")
        return Started()

    async def poll(self, site: RepositoryContext, spec: AgentBase, order: PollAgent) -> AgentSeen | None:
        """Nobody can be asked: signs of life come from the agent."""
        return None

    async def steer(self, site: RepositoryContext, spec: AgentBase, order: MessageAgent) -> bool:
        """Nobody can be told: the next attempt carries the feedback."""
        return False

    async def cancel(self, site: RepositoryContext, spec: AgentBase, order: CancelAgent) -> None:
        """The lease is gone, and by that whatever the agent still sends is late."""
