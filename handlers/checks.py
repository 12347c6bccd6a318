"""Handles finished checks of commits: check suites and statuses."""

from __future__ import annotations

from adapters.database import store
from adapters.github.ci import read_checks
from adapters.github.models import CheckSuite
from handlers.context import Delivery, HandlerContext


async def on_check_suite(delivery: Delivery, context: HandlerContext) -> None:
    """All check runs of one App on a commit have ended."""
    check_suite = CheckSuite.model_validate(delivery.payload["check_suite"])
    await _read_checks(delivery, context, check_suite.head_sha)


async def on_status(delivery: Delivery, context: HandlerContext) -> None:
    """A commit status was set."""
    await _read_checks(delivery, context, str(delivery.payload["sha"]))


async def _read_checks(delivery: Delivery, context: HandlerContext, sha: str) -> None:
    """Read all checks of the commit, because the event only says that one ended; so the order of events does not
    matter.
    """
    repository = await context.repository(delivery)
    if repository is None or repository.config is None:
        return
    async with context.work.database.autocommit() as connection:
        numbers = await store.tasks_at_head(connection, repository.id, sha)
    if not numbers:
        return
    our_app = (await context.identity(repository.installation_id)).app_id
    signal = await read_checks(context.github(repository), repository.full_name, sha, our_app)
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        for number in numbers:
            await unit.apply(number, signal)
