"""Discovers repositories at the start and schedules reconcile for each."""

from __future__ import annotations

import structlog

from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.errors import GitHubError
from core.clock import Clock
from engine.config_sync import FULL_RECONCILE, RECONCILE, REPOSITORY, register_repository
from engine.error_policy import next_poll_at, policy_for
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.prune import PRUNE, SERVICE_TARGET
from scheduler.redelivery import REDELIVER, retry_dead_webhooks

log = structlog.get_logger()

DISCOVER = "discover"
RETRY_SECONDS = 1.0  # until an interrupted start is tried again


async def discover_repositories(work: UnitOfWorkFactory, client: GitHubClient) -> int:
    """Register every repository of every installation and make its reconcile due; returns how many.

    If GitHub cannot be reached the bot starts anyway and tries later: deliveries and deadlines are waiting.
    """
    async with work.database.transaction() as connection:
        await store.set_deadline(connection, 0, SERVICE_TARGET, PRUNE, work.now())
        await store.set_deadline(connection, 0, SERVICE_TARGET, REDELIVER, work.now())
        await retry_dead_webhooks(connection, work.now())
    count, failure = 0, None
    try:
        installations = await client.app.list_installations()
    except (GitHubError, OSError) as error:
        installations, failure = [], error
    for installation in installations:
        if installation.suspended_at is not None:
            continue
        try:
            count += await _save_repositories(work, client, installation.id)
        except (GitHubError, OSError) as error:
            failure = error  # one unreadable installation must not hide the others
    if failure is not None:
        retry_at = next_poll_at(failure, work.now())
        log.warning("repository_discovery_failed", error=str(failure), again=retry_at.isoformat())
        async with work.database.transaction() as connection:
            await store.set_deadline(connection, 0, SERVICE_TARGET, DISCOVER, retry_at)
    log.info("repositories_discovered", repositories=count)
    return count


async def discover_with_retries(work: UnitOfWorkFactory, client: GitHubClient, clock: Clock) -> None:
    """Discover repositories; if the database fails meanwhile, try again. Raises errors that will not pass by
    themselves.
    """
    while True:
        try:
            await discover_repositories(work, client)
            return
        except Exception as error:
            if not policy_for(error).is_transient:
                raise
            log.warning("startup_interrupted", error=str(error))
        await clock.sleep(RETRY_SECONDS)


async def _save_repositories(work: UnitOfWorkFactory, client: GitHubClient, installation_id: int) -> int:
    listed = await client.installation(installation_id).list_installation_repositories()
    for repository in listed:
        async with work.database.transaction() as connection:
            await register_repository(connection, installation_id, repository)
            if not repository.archived:
                stored = await repositories.load_repository(connection, repository.id)
                is_unchanged = stored is not None and stored.policy_fingerprint == work.policy_fingerprint != ""
                payload = {} if is_unchanged else FULL_RECONCILE
                await store.set_deadline(connection, repository.id, REPOSITORY, RECONCILE, work.now(), payload=payload)
    return len(listed)
