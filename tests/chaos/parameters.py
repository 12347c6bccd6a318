"""How much happens in a storm, and how fast."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import yaml

from config.repository import CONFIG_PATH
from tests.scenarios.shop import CODE, WORKFLOWS

ACTIONS = ("ada", "bea", "cem", "dan")  # agents that work in the repository's workflows
SERVICES = {"cursor": "cursor", "jules": "jules"}  # agents outside, by the service they are at


@dataclass(frozen=True, slots=True)
class StormParameters:
    """`speed` is how much faster than ours the time of the storm passes; all other times are real seconds."""

    tasks: int = 200
    repositories: int = 3
    replicas: int = 2
    speed: float = 16.0
    filing_interval_seconds: float = 0.5  # between two issues
    replica_lifetime_seconds: float = 14.0  # that a replica works until it is killed
    database_kills: int = 2
    drop_rate: float = 0.3
    repeat_rate: float = 0.2
    max_delay_seconds: float = 30.0  # seconds of the storm's time
    failure_rate: float = 0.1
    timeout_seconds: float = 3600.0  # until it counts as hanging


SHORT = StormParameters(
    tasks=4,
    repositories=2,
    speed=12.0,
    filing_interval_seconds=0.2,
    replica_lifetime_seconds=8.0,
    database_kills=1,
    timeout_seconds=400.0,
)
# For `make test`: one task of each repository, and each kind of death once.
TINY = replace(SHORT, tasks=2, speed=24.0, replica_lifetime_seconds=4.0)


def configuration() -> str:
    """What every repository of the storm says."""
    agents: dict[str, Any] = {
        name: {"adapter": "actions", "event": "agent-task", "capabilities": ["python"], "max_tasks": 4}
        if name in ACTIONS[:2]
        else {"adapter": "actions", "workflow": "agent.yml", "capabilities": ["python"], "max_tasks": 4}
        for name in ACTIONS
    }
    for name, preset in SERVICES.items():
        agents[name] = {"adapter": "http", "preset": preset, "capabilities": ["python"], "max_tasks": 4}
    # A hanging agent sends heartbeats for ever: its stall has to be detected in minutes, not hours.
    timeouts = {"heartbeat": "4m", "stall": "10m", "attempt": "30m"}
    sections = {"merge": {"auto": True}, "timeouts": timeouts, "escalation": {"fallback": ["alice"]}}
    return yaml.safe_dump({"version": 1, "agents": agents, **sections}, sort_keys=False)


FILES = {**CODE, **WORKFLOWS, CONFIG_PATH: configuration()}
