"""Updates the name of a repository after GitHub redirected a request."""

from __future__ import annotations

import structlog

from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.errors import Gone, NotFound
from engine.config_sync import REPOSITORY
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

MOVED = "moved"


async def was_renamed(work: UnitOfWorkFactory, former_name: str) -> None:
    """Record that requests to this name are redirected; the timer reads the new name."""
    async with work.database.transaction() as connection:
        row = await repositories.find_by_name(connection, former_name)
        if row is not None:
            await store.set_deadline(connection, row.id, REPOSITORY, MOVED, work.now())


async def update_renamed_repository(work: UnitOfWorkFactory, client: GitHubClient, repository_id: int) -> None:
    """Read the new name. A repository is identified by its id; the name is only its address."""
    async with work.database.autocommit() as connection:
        row = await repositories.load_repository(connection, repository_id)
    if row is None or not row.active:
        return
    try:
        repository = await client.installation(row.installation_id).get_repository(row.full_name)
    except (NotFound, Gone):
        return  # it is gone, which a delivery or reconcile reports
    async with work.database.transaction() as connection:
        # This request was redirected as well.
        await store.delete_deadline(connection, repository_id, REPOSITORY, MOVED)
        if repository.id == repository_id and repository.full_name != row.full_name:
            await repositories.update_repository(connection, repository_id, full_name=repository.full_name)
            log.info("repository_moved", former=row.full_name, now=repository.full_name)
