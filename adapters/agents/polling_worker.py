"""Offers work to agents that fetch it themselves.

The offer is the task's lease. The agent accepts it by its first message (`/claim`, a heartbeat, the API), and until
then its silence means nothing: see `AgentBase.fetches_work`.
"""

from __future__ import annotations

from adapters.agents.base import CannotStart, RepositoryContext, StartResult
from config.agent_kinds import AgentBase, PullAgent
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen


class PullAdapter:
    """Offers work without starting anything."""

    async def probe(self, context: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Nothing can be missing: the agent fetches work or does not."""
        return ()

    async def start(
        self, context: RepositoryContext, spec: AgentBase, effect: StartAgent, *, is_retry: bool
    ) -> StartResult:
        """Nothing to do: the lease and its packet are the offer."""
        if not isinstance(spec, PullAgent):
            raise CannotStart(f"the pull adapter cannot start an agent of kind {type(spec).__name__}")
        return StartResult()

    async def poll(self, context: RepositoryContext, spec: AgentBase, effect: PollAgent) -> AgentSeen | None:
        """Returns None: signs of life come from the agent."""
        return None

    async def send_message(self, context: RepositoryContext, spec: AgentBase, effect: MessageAgent) -> bool:
        """Returns False: the next attempt carries the feedback."""
        return False

    async def cancel(self, context: RepositoryContext, spec: AgentBase, effect: CancelAgent) -> None:
        """Nothing to do: the lease is gone, so whatever the agent still sends is late."""
