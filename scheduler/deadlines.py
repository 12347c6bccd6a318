"""Turns a due deadline into a signal, like everything else that happens."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.errors import GitHubError
from adapters.github.rate_limit import RateLimitContext
from core.effects.base import UpsertDigest
from core.effects.priority import SendPriority
from core.signals.base import DeadlineDue, DependencyChanged, Signal
from core.task.deadlines import DeadlineKind, DeadlineTarget, TargetKind, task_target
from engine import issue_reader, retrospectives
from engine.config_sync import DIGEST, FULL_RECONCILE, RECONCILE, REPOSITORY
from engine.error_policy import next_poll_at, policy_for
from engine.forecasts import ForecastService
from engine.session import NoConfiguration
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.prune import PRUNE, SERVICE_TARGET, prune_database
from scheduler.reactions import read_reactions
from scheduler.reconcile import RECONCILE_EVERY, reconcile
from scheduler.redelivery import REDELIVER, IsHandled, request_redeliveries
from scheduler.renamed_repository import MOVED, update_renamed_repository
from scheduler.startup import DISCOVER, discover_repositories


async def handle_deadline(
    work: UnitOfWorkFactory,
    client: GitHubClient,
    forecasts: ForecastService | None,
    repository_id: int,
    target: DeadlineTarget,
    kind: str,
    attempt: int,
    payload: Mapping[str, Any],
    is_handled: IsHandled,
) -> None:
    """Handle one deadline. If that fails it is due again soon, so no deadline is lost.

    `is_handled` says whether deliveries of an event with an action are handled.
    """
    try:
        if target == REPOSITORY and kind == RECONCILE:
            await _run_reconcile(work, client, forecasts, repository_id, payload == FULL_RECONCILE)
        elif target.kind == TargetKind.RETROSPECTIVE:
            await _start_retrospective(work, repository_id)
        elif target == REPOSITORY and kind == DIGEST:
            await _update_digest(work, repository_id)
        elif target == SERVICE_TARGET and kind == PRUNE:
            await prune_database(work)
        elif target == SERVICE_TARGET and kind == DISCOVER:
            await discover_repositories(work, client)
        elif target == REPOSITORY and kind == MOVED:
            await update_renamed_repository(work, client, repository_id)
        elif target == SERVICE_TARGET and kind == REDELIVER:
            await request_redeliveries(work, client.app, is_handled)
        elif target.kind == TargetKind.AGENT:
            await _reassign_queue(work, repository_id)
        elif target.kind == TargetKind.DEPENDENT:
            await _reevaluate_task(work, repository_id, int(target.id))
        elif target.kind == TargetKind.TASK:
            await _handle_task_deadline(work, client, forecasts, repository_id, int(target.id), kind, attempt)
    except Exception as error:
        retry_at = next_poll_at(error, work.now())
        async with work.database.transaction() as connection:
            await store.set_deadline(connection, repository_id, target, kind, retry_at, attempt, payload)
        raise


async def _run_reconcile(
    work: UnitOfWorkFactory, client: GitHubClient, forecasts: ForecastService | None, repository_id: int, full: bool
) -> None:
    async with work.database.transaction() as connection:
        row = await repositories.load_repository(connection, repository_id)
        if row is None or not row.active:
            return  # the App was removed; installing it again restarts this
        # A reconcile that was requested meanwhile comes at its own time.
        await store.advance_deadline(connection, repository_id, REPOSITORY, RECONCILE, work.now() + RECONCILE_EVERY)
    # It reads much, and must leave capacity for what people wait for.
    github = client.installation(row.installation_id, RateLimitContext(SendPriority.CARD))
    await reconcile(work, github, forecasts, row, full=full)


async def _start_retrospective(work: UnitOfWorkFactory, repository_id: int) -> None:
    """Tasks were done: check whether a retrospective is due."""
    with contextlib.suppress(NoConfiguration):
        async with work.begin(repository_id) as unit:
            await retrospectives.hold_if_due(unit.session)


async def _update_digest(work: UnitOfWorkFactory, repository_id: int) -> None:
    """Update the digest, once however many were missed; in the quiet hours it waits for their end."""
    with contextlib.suppress(NoConfiguration):  # a new configuration starts it again
        async with work.begin(repository_id) as unit:
            progress = unit.session.policy.digest
            if not progress.enabled:
                return
            is_quiet = progress.is_quiet(unit.session.now)
            next_at = progress.quiet_hours_end(unit.session.now) if is_quiet else progress.next_due_at(unit.session.now)
            unit.session.set_deadline(REPOSITORY, DIGEST, next_at)
            if not is_quiet:
                await unit.session.enqueue_effects(0, UpsertDigest(notifies_channels=True))


async def _reassign_queue(work: UnitOfWorkFactory, repository_id: int) -> None:
    """An agent that took no work for a while takes some now: assign the queue again."""
    with contextlib.suppress(NoConfiguration):  # there is no queue; a new configuration restarts it
        async with work.begin(repository_id) as unit:
            await unit.assign_queue()


async def _reevaluate_task(work: UnitOfWorkFactory, repository_id: int, number: int) -> None:
    """A dependency of this task in another repository changed."""
    with contextlib.suppress(NoConfiguration):
        async with work.begin(repository_id) as unit:
            await unit.apply(number, DependencyChanged(number))


async def _handle_task_deadline(
    work: UnitOfWorkFactory,
    client: GitHubClient,
    forecasts: ForecastService | None,
    repository_id: int,
    number: int,
    kind: str,
    attempt: int,
) -> None:
    signals: list[Signal] = []
    if kind in (DeadlineKind.QUEUE, DeadlineKind.AUTHOR):
        # It has waited long: the dependency may be elsewhere, where no delivery reports it.
        async with work.database.autocommit() as connection:
            row = await repositories.load_repository(connection, repository_id)
        if row and row.active and row.config:
            github = client.installation(row.installation_id)
            try:
                issue = await github.get_issue(row.full_name, number)
                signals.append(await issue_reader.make_issue_seen(work.database, github, row, issue, forecasts))
            except GitHubError as error:
                if policy_for(error).is_transient:
                    raise
                # The issue was deleted, moved, or is not readable: the deadline is still applied.
    if kind == DeadlineKind.ESCALATION:
        signals += await read_reactions(work, client, repository_id, number)
    try:
        async with work.begin(repository_id) as unit:
            for signal in signals:
                await unit.apply(number, signal)
            await unit.apply(number, DeadlineDue(kind, attempt))
    except NoConfiguration:
        # Nothing is decided while there is no configuration; the deadline stays.
        async with work.database.transaction() as connection:
            row = await repositories.load_repository(connection, repository_id)
            if row and row.active:
                retry_at = work.now() + timedelta(hours=1)
                await store.set_deadline(connection, repository_id, task_target(number), kind, retry_at, attempt)
