"""At the start: where are we installed? What happened while we were away, the reconciler finds out."""

from __future__ import annotations

import structlog

from adapters.configuration import RECONCILE, REPOSITORY, WHOLE
from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.errors import GitHubError
from adapters.unit_of_work import Work
from scheduler.prune import PRUNE, SERVICE
from scheduler.redelivery import REDELIVER, resume

log = structlog.get_logger()


async def discover(work: Work, client: GitHubClient) -> int:
    """Learn every repository of every installation, and make the reconciler due for each; gives how many.

    Where GitHub cannot be reached we start all the same: deliveries and deadlines are waiting.
    """
    found = 0
    async with work.database.transaction() as connection:
        await store.set_deadline(connection, 0, SERVICE, PRUNE, work.now())
        await store.set_deadline(connection, 0, SERVICE, REDELIVER, work.now())
        await resume(connection, work.now())
    try:
        for installation in await client.app.list_installations():
            if installation.suspended_at is not None:
                continue
            for seen in await client.installation(installation.id).installation_repositories():
                async with work.database.transaction() as connection:
                    await repositories.save_repository(
                        connection,
                        seen.id,
                        installation_id=installation.id,
                        full_name=seen.full_name,
                        default_branch=seen.default_branch,
                        active=not seen.archived,
                    )
                    if not seen.archived:
                        # Whole, because these may be other rules than those that the tasks were last looked at with.
                        await store.set_deadline(connection, seen.id, REPOSITORY, RECONCILE, work.now(), WHOLE)
                found += 1
    except (GitHubError, OSError) as error:
        log.warning("discovery_failed", error=str(error))
    log.info("discovered", repositories=found)
    return found
