"""The agents of a repository as the assignment sees them: their settings, what they have in hand, and how they are."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.agents import ADAPTERS
from adapters.database import agents as kept
from adapters.database import attempts
from adapters.database.repositories import RepositoryRow
from core.assignment.agent_state import AgentRecord, agent_availability
from core.assignment.rules import Agent
from core.assignment.stats import DEFAULT_SPEED_SCORE, performance_scores
from core.circuit_breaker import breaker_name


async def load_agents(connection: AsyncConnection, repository: RepositoryRow, now: datetime) -> list[Agent]:
    """All agents that take part; none without a configuration."""
    policy = repository.config
    if policy is None:
        return []
    state = await kept.load_team_state(connection, repository.id)
    task_counts = state.task_counts
    scores: dict[str, float] = {}
    if policy.scoring.learned:
        scores = performance_scores(await attempts.agent_stats(connection, repository.id, now))
    agents = []
    for name, spec in policy.agents.items():
        record = state.records.get(name, AgentRecord())
        availability = agent_availability(
            record,
            now,
            policy.timeouts,
            active_tasks=task_counts.get(name, 0),
            max_tasks=spec.max_tasks,
            start_problem=None
            if spec.adapter in ADAPTERS
            else f"cannot be started: this version has no {spec.adapter} adapter",
            breaker=state.circuits.get(breaker_name(spec)),
        )
        agents.append(
            Agent(
                name=name,
                capabilities=frozenset(spec.capabilities),
                prefers=frozenset(spec.prefers),
                max_tasks=spec.max_tasks,
                roles=frozenset(spec.roles),
                active_tasks=task_counts.get(name, 0),
                total_assigned=record.total_assigned,
                unavailable_reason=repository.team.unavailable_reason(name)
                or (None if availability.accepts_work else availability.reason),
                availability=availability,
                performance=scores.get(name, DEFAULT_SPEED_SCORE),
            )
        )
    return agents
