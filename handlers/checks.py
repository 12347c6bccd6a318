"""Checks of commits: suites of any App, and statuses of the older kind."""

from __future__ import annotations

from adapters.database import store
from adapters.github.ci import read_checks
from adapters.github.models import CheckSuite
from handlers.desk import Delivery, Desk


async def suite(delivery: Delivery, desk: Desk) -> None:
    """All runs of one App on a commit have ended."""
    if delivery.action != "completed":
        return
    told = CheckSuite.model_validate(delivery.payload["check_suite"])
    await _read(delivery, desk, told.head_sha, told.app.id if told.app else None)


async def status(delivery: Delivery, desk: Desk) -> None:
    """A status was set on a commit."""
    if delivery.payload.get("state") != "pending":
        await _read(delivery, desk, str(delivery.payload["sha"]), None)


async def _read(delivery: Delivery, desk: Desk, sha: str, app_id: int | None) -> None:
    """The news is only that something ended; what all checks say together is read, so that order does not matter."""
    installation = delivery.payload.get("installation")
    if not installation or app_id == (await desk.identity(int(installation["id"]))).app_id:
        return  # our own
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    async with desk.work.database.transaction() as connection:
        numbers = await store.tasks_at_head(connection, repository.id, sha)
    if not numbers:
        return
    our_app = (await desk.identity(repository.installation_id)).app_id
    signal = await read_checks(desk.github(repository), repository.full_name, sha, our_app)
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        for number in numbers:
            await unit.apply(number, signal)
