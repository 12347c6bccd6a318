"""Asking what keeps agents from being started: for people who look at them, never for a decision.

The answers are kept for a while, because any user may ask, and no user should wait long for a slow service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import aiohttp
import structlog

from adapters.agents import ADAPTERS, CannotStart, Services, Unavailable
from adapters.database import agents as kept
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHubClient
from adapters.github.errors import GitHubError
from config.agent_kinds import AgentSpec
from core.assignment.agent_state import HealthResult
from core.circuit_breaker import breaker_name
from core.text_safety.sanitize import mask_secrets, one_line
from engine.senders import Identity
from engine.senders.context import repository_context

CACHE_PERIOD: Final = timedelta(minutes=10)  # for how long an answer is shown again
TIMEOUT_SECONDS: Final = 3.0  # seconds that all of an answer's questions may take together
MAX_CONCURRENT: Final = 8  # questions of one repository that are out at the same time
MAX_CACHED: Final = 2_000  # answers; beyond them the oldest is forgotten

log = structlog.get_logger()


@dataclass(slots=True)
class HealthChecks:
    """What the adapters say of the agents, and what they said lately."""

    client: GitHubClient
    database: Database
    services: Services
    identity: Callable[[int], Awaitable[Identity]]
    server_url: str
    now: Callable[[], datetime]
    timeout_seconds: float = TIMEOUT_SECONDS
    _cache: dict[tuple[int, str], tuple[AgentSpec, HealthResult]] = field(default_factory=dict)

    async def check_all(self, repository: RepositoryRow) -> Mapping[str, HealthResult]:
        """What keeps each agent of a repository from being started, and as of when.

        What is not known within `within` seconds is left out, or as it was when it was last known.
        """
        agents = repository.team.agents
        stale = {name: spec for name, spec in agents.items() if not self._is_fresh(repository, name, spec)}
        if stale:
            await self._run_checks(repository, stale)
        results = {name: self._cache.get((repository.id, name)) for name in agents}
        return {name: cached[1] for name, cached in results.items() if cached and cached[0] == agents[name]}

    def _is_fresh(self, repository: RepositoryRow, name: str, spec: AgentSpec) -> bool:
        cached = self._cache.get((repository.id, name))
        return cached is not None and cached[0] == spec and self.now() - cached[1].checked_at < CACHE_PERIOD

    async def _run_checks(self, repository: RepositoryRow, agents: Mapping[str, AgentSpec]) -> None:
        identity = await self.identity(repository.installation_id)
        async with self.database.autocommit() as connection:
            circuits = await kept.load_circuits(connection)
        github, semaphore = self.client.installation(repository.installation_id), asyncio.Semaphore(MAX_CONCURRENT)

        async def check_agent(name: str, spec: AgentSpec) -> None:
            circuit = circuits.get(breaker_name(spec))
            if spec.adapter not in ADAPTERS or (circuit and circuit.reopens_at(self.now())):
                return  # the state of the agent says so already
            async with semaphore:
                context = repository_context(repository, github, identity, self.services, self.now(), self.server_url)
                try:
                    problems = await ADAPTERS[spec.adapter].probe(context, spec)
                except (CannotStart, Unavailable) as problem:
                    problems = (str(problem),)
                except (GitHubError, OSError, aiohttp.ClientError) as error:
                    log.info("health_check_unanswered", agent=name, error=one_line(mask_secrets(str(error)), 200))
                    return
            self._store((repository.id, name), spec, HealthResult(problems, self.now()))

        try:
            async with asyncio.timeout(self.timeout_seconds), asyncio.TaskGroup() as group:
                for name, spec in agents.items():
                    group.create_task(check_agent(name, spec))
        except TimeoutError:
            log.info("health_checks_slow", repository=repository.full_name)

    def _store(self, key: tuple[int, str], spec: AgentSpec, result: HealthResult) -> None:
        self._cache.pop(key, None)
        self._cache[key] = (spec, result)
        while len(self._cache) > MAX_CACHED:
            self._cache.pop(next(iter(self._cache)))
