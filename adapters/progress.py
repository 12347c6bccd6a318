"""What the progress digest of a repository is made from, read in one go."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import flights, store
from adapters.database.repositories import RepositoryRow
from adapters.roster import roster
from core.digest import Budget, Digest, digest
from core.task import Status

_SHOWN = [status for status in Status if status is not Status.DONE]


async def digest_of(
    connection: AsyncConnection, repository: RepositoryRow, now: datetime, budget: tuple[int, datetime] | None = None
) -> Digest | None:
    """The digest as it is at `now` (aware); None where there is no configuration, because nothing is decided there.

    `budget` is GitHub's: requests left, and when they are full again.
    """
    if repository.config is None:
        return None
    tasks = await store.tasks_with_status(connection, repository.id, _SHOWN)
    in_flight = await flights.in_flight(connection, repository.id)
    pairs = await flights.pairs(connection, repository.id)
    agents = await roster(connection, repository, now)
    left = Budget(*budget) if budget else None
    return digest(repository.full_name, tasks, in_flight, pairs, agents, repository.config, now, left)
