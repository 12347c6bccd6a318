"""What the progress digest of a repository is made from, read in one go."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import dead_letters, open_pulls, rate_limits, store
from adapters.database.repositories import RepositoryRow
from adapters.github.rate_limit import sender_name
from core.digest import Digest, RateLimitSummary, build_digest
from core.task.model import Status
from engine.agent_states import load_agents

_OPEN_STATUSES = [status for status in Status if status is not Status.DONE]


async def load_digest(connection: AsyncConnection, repository: RepositoryRow, now: datetime) -> Digest | None:
    """The digest as it is at `now` (aware); None where there is no configuration, because nothing is decided there."""
    if repository.config is None:
        return None
    tasks = await store.tasks_with_status(connection, repository.id, _OPEN_STATUSES)
    pulls = await open_pulls.list_open(connection, repository.id)
    pairs = await open_pulls.load_pairs(connection, repository.id)
    agents = await load_agents(connection, repository, now)
    rate_limit = await _rate_limit_summary(connection, repository.installation_id, now)
    given_up_items = await dead_letters.repository_dead_letters(connection, repository.id)
    return build_digest(
        repository.full_name, tasks, pulls, pairs, agents, repository.config, now, rate_limit, given_up_items
    )


async def _rate_limit_summary(
    connection: AsyncConnection, installation_id: int, now: datetime
) -> RateLimitSummary | None:
    """What is left of GitHub's limits, all replicas together; None before GitHub has ever said so."""
    _, state = await rate_limits.load(connection, sender_name(installation_id))
    primary = state.primary.get("core")
    if primary is None:
        return None
    write_count = state.content_hour.used(now.timestamp())
    if primary.reset_at <= now.timestamp():
        return RateLimitSummary(primary.limit, None, write_count)
    return RateLimitSummary(primary.remaining, datetime.fromtimestamp(primary.reset_at, UTC), write_count)
