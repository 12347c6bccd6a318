"""Adapters of agents, by the kind that the configuration names."""

from __future__ import annotations

from adapters.agents.actions import ActionsAdapter
from adapters.agents.contract import AgentAdapter, CannotStart, Services, Site, Started, Unavailable

ADAPTERS: dict[str, AgentAdapter] = {"actions": ActionsAdapter()}

__all__ = ["ADAPTERS", "AgentAdapter", "CannotStart", "Services", "Site", "Started", "Unavailable"]
