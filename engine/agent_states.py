"""The agents of a repository as the assignment sees them: their settings, what they have in hand, and how they are."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.agents import ADAPTERS
from adapters.database import agents as kept
from adapters.database import attempts
from adapters.database.repositories import RepositoryRow
from core.assignment.agent_state import AgentRecord, condition
from core.assignment.rules import Agent
from core.assignment.stats import UNKNOWN, merits
from core.circuit_breaker import name_of


async def roster(connection: AsyncConnection, repository: RepositoryRow, now: datetime) -> list[Agent]:
    """All agents that take part; none without a configuration."""
    policy = repository.config
    if policy is None:
        return []
    state = await kept.load_team_state(connection, repository.id)
    holding = state.task_counts
    merit: dict[str, float] = {}
    if policy.scoring.learned:
        merit = merits(await attempts.agent_stats(connection, repository.id, now))
    found = []
    for name, spec in policy.agents.items():
        record = state.records.get(name, AgentRecord())
        is_now = condition(
            record,
            now,
            policy.timeouts,
            holding=holding.get(name, 0),
            max_tasks=spec.max_tasks,
            startable=None
            if spec.adapter in ADAPTERS
            else f"cannot be started: this version has no {spec.adapter} adapter",
            circuit=state.circuits.get(name_of(spec)),
        )
        found.append(
            Agent(
                name=name,
                capabilities=frozenset(spec.capabilities),
                prefers=frozenset(spec.prefers),
                max_tasks=spec.max_tasks,
                roles=frozenset(spec.roles),
                holding=holding.get(name, 0),
                assigned=record.assigned,
                unavailable=repository.team.unavailable_reason(name) or (None if is_now.takes_work else is_now.reason),
                condition=is_now,
                merit=merit.get(name, UNKNOWN),
            )
        )
    return found
