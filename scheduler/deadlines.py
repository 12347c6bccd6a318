"""A deadline that has come due enters by the same door as everything else: as a signal."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.errors import GitHubError
from adapters.github.rate_limit import Passage
from core.effects.base import UpsertDigest
from core.effects.priority import Lane
from core.signals.base import DeadlineDue, DependencyChanged, Signal
from core.task.deadlines import DeadlineKind
from engine import issue_reader, retrospectives
from engine.config_sync import DIGEST, RECONCILE, REPOSITORY, WHOLE
from engine.error_policy import fate_of, next_look
from engine.unit_of_work import LOOK, NoConfiguration, Work
from scheduler.prune import PRUNE, SERVICE, prune
from scheduler.reactions import reactions
from scheduler.reconcile import RECONCILE_EVERY, reconcile
from scheduler.redelivery import REDELIVER, Heard, redeliver
from scheduler.renamed_repository import MOVED, moved
from scheduler.startup import DISCOVER, discover


async def due(
    work: Work,
    client: GitHubClient,
    repository_id: int,
    subject: str,
    kind: str,
    attempt: int,
    is_heard: Heard,
) -> None:
    """Handle one deadline. If that fails it comes due again soon: a wait is never lost.

    `is_heard` tells whether deliveries of an event with an action are handled.
    """
    try:
        if subject == REPOSITORY and kind == RECONCILE:
            await _reconcile(work, client, repository_id, attempt == WHOLE)
        elif subject == retrospectives.RETROSPECTIVE:
            await _retrospective(work, repository_id)
        elif subject == REPOSITORY and kind == DIGEST:
            await _digest(work, repository_id)
        elif subject == SERVICE and kind == PRUNE:
            await prune(work)
        elif subject == SERVICE and kind == DISCOVER:
            await discover(work, client)
        elif subject == REPOSITORY and kind == MOVED:
            await moved(work, client, repository_id)
        elif subject == SERVICE and kind == REDELIVER:
            await redeliver(work, client.app, is_heard)
        elif subject.startswith("agent:"):
            await _agent(work, repository_id)
        elif subject.startswith(f"{LOOK}:"):
            await _look(work, repository_id, int(subject.partition(":")[2]))
        elif subject.startswith("task:"):
            await _task(work, client, repository_id, int(subject.removeprefix("task:")), kind, attempt)
    except Exception as error:
        again = next_look(error, work.now())
        async with work.database.transaction() as connection:
            await store.set_deadline(connection, repository_id, subject, kind, again, attempt)
        raise


async def _reconcile(work: Work, client: GitHubClient, repository_id: int, whole: bool) -> None:
    async with work.database.transaction() as connection:
        row = await repositories.repository(connection, repository_id)
        if row is None or not row.active:
            return  # the App is gone from there; being installed again sets it going again
        # One that was asked for meanwhile comes when it was to come.
        await store.no_later(connection, repository_id, REPOSITORY, RECONCILE, work.now() + RECONCILE_EVERY)
    # It reads much, and must leave room for what people wait for.
    await reconcile(work, client.installation(row.installation_id, Passage(Lane.CARD)), row, whole=whole)


async def _retrospective(work: Work, repository_id: int) -> None:
    """Tasks were done: look whether it is a retrospective's turn."""
    with contextlib.suppress(NoConfiguration):
        async with work.on(repository_id) as unit:
            await retrospectives.look(unit)


async def _digest(work: Work, repository_id: int) -> None:
    """The digest is brought up to date, once however many were missed; in the quiet hours it waits for their end."""
    with contextlib.suppress(NoConfiguration):  # a configuration that comes sets it going again
        async with work.on(repository_id) as unit:
            progress = unit.policy.digest
            if not progress.enabled:
                return
            quiet = progress.is_quiet(unit.now)
            again = progress.awake(unit.now) if quiet else progress.next_after(unit.now)
            unit.set_deadline(REPOSITORY, DIGEST, again)
            if not quiet:
                await unit.want(0, UpsertDigest(tells=True))


async def _agent(work: Work, repository_id: int) -> None:
    """An agent that took no work for a while takes some now: look at the queue again."""
    with contextlib.suppress(NoConfiguration):  # there is no queue; a configuration that comes brings it to life
        async with work.on(repository_id) as unit:
            await unit.assign_queue()


async def _look(work: Work, repository_id: int, number: int) -> None:
    """A neighbouring repository has news of what this task depends on."""
    with contextlib.suppress(NoConfiguration):
        async with work.on(repository_id) as unit:
            await unit.apply(number, DependencyChanged(number))


async def _task(work: Work, client: GitHubClient, repository_id: int, number: int, kind: str, attempt: int) -> None:
    signals: list[Signal] = []
    if kind in (DeadlineKind.QUEUE, DeadlineKind.AUTHOR):
        # It has waited long: what it waits for may be elsewhere, where no delivery tells us of it.
        async with work.database.autocommit() as connection:
            row = await repositories.repository(connection, repository_id)
        if row and row.active and row.config:
            github = client.installation(row.installation_id)
            try:
                issue = await github.get_issue(row.full_name, number)
                signals.append(await issue_reader.issue_seen(work.database, github, row, issue, work.foresight))
            except GitHubError as error:
                if fate_of(error).passes:
                    raise
                # Deleted, moved away, or not for our eyes: the deadline itself is still told.
    if kind == DeadlineKind.CALL:
        signals += await reactions(work, client, repository_id, number)
    try:
        async with work.on(repository_id) as unit:
            for signal in signals:
                await unit.apply(number, signal)
            await unit.apply(number, DeadlineDue(kind, attempt))
    except NoConfiguration:
        # Nothing is decided while there is no configuration; the wait goes on.
        async with work.database.transaction() as connection:
            row = await repositories.repository(connection, repository_id)
            if row and row.active:
                later = work.now() + timedelta(hours=1)
                await store.set_deadline(connection, repository_id, f"task:{number}", kind, later, attempt)
