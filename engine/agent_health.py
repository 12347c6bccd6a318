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
from core.circuit_breaker import name_of
from core.text_safety.sanitize import mask_secrets, one_line
from engine.senders import Identity
from engine.senders.context import repository_context

FRESH: Final = timedelta(minutes=10)  # for how long an answer is shown again
WITHIN: Final = 3.0  # seconds that all of an answer's questions may take together
AT_ONCE: Final = 8  # questions of one repository that are out at the same time
MOST_KEPT: Final = 2_000  # answers; beyond them the oldest is forgotten

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
    within: float = WITHIN
    _kept: dict[tuple[int, str], tuple[AgentSpec, HealthResult]] = field(default_factory=dict)

    async def of(self, repository: RepositoryRow) -> Mapping[str, HealthResult]:
        """What keeps each agent of a repository from being started, and as of when.

        What is not known within `within` seconds is left out, or as it was when it was last known.
        """
        agents = repository.team.agents
        stale = {name: spec for name, spec in agents.items() if not self._is_fresh(repository, name, spec)}
        if stale:
            await self._ask(repository, stale)
        found = {name: self._kept.get((repository.id, name)) for name in agents}
        return {name: known[1] for name, known in found.items() if known and known[0] == agents[name]}

    def _is_fresh(self, repository: RepositoryRow, name: str, spec: AgentSpec) -> bool:
        known = self._kept.get((repository.id, name))
        return known is not None and known[0] == spec and self.now() - known[1].at < FRESH

    async def _ask(self, repository: RepositoryRow, agents: Mapping[str, AgentSpec]) -> None:
        identity = await self.identity(repository.installation_id)
        async with self.database.autocommit() as connection:
            circuits = await kept.load_circuits(connection)
        github, room = self.client.installation(repository.installation_id), asyncio.Semaphore(AT_ONCE)

        async def ask(name: str, spec: AgentSpec) -> None:
            circuit = circuits.get(name_of(spec))
            if spec.adapter not in ADAPTERS or (circuit and circuit.reopens_at(self.now())):
                return  # the state of the agent says so already
            async with room:
                site = repository_context(repository, github, identity, self.services, self.now(), self.server_url)
                try:
                    problems = await ADAPTERS[spec.adapter].probe(site, spec)
                except (CannotStart, Unavailable) as problem:
                    problems = (str(problem),)
                except (GitHubError, OSError, aiohttp.ClientError) as error:
                    log.info("health_check_unanswered", agent=name, error=one_line(mask_secrets(str(error)), 200))
                    return
            self._keep((repository.id, name), spec, HealthResult(problems, self.now()))

        try:
            async with asyncio.timeout(self.within), asyncio.TaskGroup() as group:
                for name, spec in agents.items():
                    group.create_task(ask(name, spec))
        except TimeoutError:
            log.info("health_checks_slow", repository=repository.full_name)

    def _keep(self, key: tuple[int, str], spec: AgentSpec, probed: HealthResult) -> None:
        self._kept.pop(key, None)
        self._kept[key] = (spec, probed)
        while len(self._kept) > MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))
