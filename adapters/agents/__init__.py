"""Lists the agent adapters by the kind that the configuration names."""

from __future__ import annotations

from adapters.agents.actions import ActionsAdapter
from adapters.agents.base import AgentAdapter, CannotStart, RepositoryContext, Services, StartResult, Unavailable
from adapters.agents.copilot import CopilotAdapter
from adapters.agents.http import HttpAdapter
from adapters.agents.mention import MentionAdapter
from adapters.agents.polling_worker import PullAdapter

ADAPTERS: dict[str, AgentAdapter] = {
    "actions": ActionsAdapter(),
    "copilot": CopilotAdapter(),
    "http": HttpAdapter(),
    "mention": MentionAdapter(),
    "pull": PullAdapter(),
}

__all__ = ["ADAPTERS", "AgentAdapter", "CannotStart", "RepositoryContext", "Services", "StartResult", "Unavailable"]
