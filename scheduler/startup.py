"""At the start: where are we installed? What happened while we were away, the reconciler finds out."""

from __future__ import annotations

import structlog

from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.errors import GitHubError
from core.clock import Clock
from engine.config_sync import RECONCILE, REPOSITORY, WHOLE
from engine.error_policy import fate_of, next_look
from engine.unit_of_work import Work
from scheduler.prune import PRUNE, SERVICE
from scheduler.redelivery import REDELIVER, resume

log = structlog.get_logger()

DISCOVER = "discover"
AGAIN = 1.0  # seconds until a start that was interrupted begins anew


async def discover(work: Work, client: GitHubClient) -> int:
    """Learn every repository of every installation, and make the reconciler due for each; gives how many.

    Where GitHub cannot be reached we start all the same, and ask again later: deliveries and deadlines are waiting.
    """
    async with work.database.transaction() as connection:
        await store.set_deadline(connection, 0, SERVICE, PRUNE, work.now())
        await store.set_deadline(connection, 0, SERVICE, REDELIVER, work.now())
        await resume(connection, work.now())
    found, failure = 0, None
    try:
        installations = await client.app.list_installations()
    except (GitHubError, OSError) as error:
        installations, failure = [], error
    for installation in installations:
        if installation.suspended_at is not None:
            continue
        try:
            found += await _installed(work, client, installation.id)
        except (GitHubError, OSError) as error:
            failure = error  # one that cannot be read keeps no other from being found
    if failure is not None:
        again = next_look(failure, work.now())
        log.warning("repository_discovery_failed", error=str(failure), again=again.isoformat())
        async with work.database.transaction() as connection:
            await store.set_deadline(connection, 0, SERVICE, DISCOVER, again)
    log.info("repositories_discovered", repositories=found)
    return found


async def begin(work: Work, client: GitHubClient, clock: Clock) -> None:
    """Discover; should the database go away just then, again when it is back. Raises what will not pass by itself."""
    while True:
        try:
            await discover(work, client)
            return
        except Exception as error:
            if not fate_of(error).passes:
                raise
            log.warning("startup_interrupted", error=str(error))
        await clock.sleep(AGAIN)


async def _installed(work: Work, client: GitHubClient, installation_id: int) -> int:
    seen = await client.installation(installation_id).installation_repositories()
    for one in seen:
        async with work.database.transaction() as connection:
            await repositories.save_repository(
                connection,
                one.id,
                installation_id=installation_id,
                full_name=one.full_name,
                default_branch=one.default_branch,
                active=not one.archived,
            )
            if not one.archived:
                known = await repositories.repository(connection, one.id)
                same = known is not None and known.rules == work.rules != ""
                await store.set_deadline(connection, one.id, REPOSITORY, RECONCILE, work.now(), 0 if same else WHOLE)
    return len(seen)
