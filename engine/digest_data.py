"""What the progress digest of a repository is made from, read in one go."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import dead_letters, open_pulls, rate_limits, store
from adapters.database.repositories import RepositoryRow
from adapters.github.rate_limit import sender_name
from core.digest import Budget, Digest, digest
from core.task.model import Status
from engine.agent_states import roster

_SHOWN = [status for status in Status if status is not Status.DONE]


async def digest_of(connection: AsyncConnection, repository: RepositoryRow, now: datetime) -> Digest | None:
    """The digest as it is at `now` (aware); None where there is no configuration, because nothing is decided there."""
    if repository.config is None:
        return None
    tasks = await store.tasks_with_status(connection, repository.id, _SHOWN)
    in_flight = await open_pulls.list_open(connection, repository.id)
    pairs = await open_pulls.load_pairs(connection, repository.id)
    agents = await roster(connection, repository, now)
    left = await _left(connection, repository.installation_id, now)
    lost = await dead_letters.repository_dead_letters(connection, repository.id)
    return digest(repository.full_name, tasks, in_flight, pairs, agents, repository.config, now, left, lost)


async def _left(connection: AsyncConnection, installation_id: int, now: datetime) -> Budget | None:
    """What is left of GitHub's limits, all replicas together; None before GitHub has ever said so."""
    _, spent = await rate_limits.load(connection, sender_name(installation_id))
    primary = spent.primary.get("core")
    if primary is None:
        return None
    written = spent.content_hour.used(now.timestamp())
    if primary.reset_at <= now.timestamp():
        return Budget(primary.limit, None, written)
    return Budget(primary.remaining, datetime.fromtimestamp(primary.reset_at, UTC), written)
