"""Checks of commits: suites of any App, and statuses of the older kind."""

from __future__ import annotations

from adapters.database import store
from adapters.github.ci import read_checks
from adapters.github.models import CheckSuite
from handlers.context import Delivery, Desk


async def suite(delivery: Delivery, desk: Desk) -> None:
    """All runs of one App on a commit have ended."""
    told = CheckSuite.model_validate(delivery.payload["check_suite"])
    await _read(delivery, desk, told.head_sha)


async def status(delivery: Delivery, desk: Desk) -> None:
    """A status was set on a commit."""
    await _read(delivery, desk, str(delivery.payload["sha"]))


async def _read(delivery: Delivery, desk: Desk, sha: str) -> None:
    """The news is only that something ended; what all checks say together is read, so that order does not matter."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    async with desk.work.database.autocommit() as connection:
        numbers = await store.tasks_at_head(connection, repository.id, sha)
    if not numbers:
        return
    our_app = (await desk.identity(repository.installation_id)).app_id
    signal = await read_checks(desk.github(repository), repository.full_name, sha, our_app)
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        for number in numbers:
            await unit.apply(number, signal)
