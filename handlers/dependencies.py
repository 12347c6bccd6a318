"""Handles GitHub's own relations between issues: dependencies and sub-issues."""

from __future__ import annotations

from datetime import datetime

from adapters.database import store
from engine import issue_reader
from handlers.context import Delivery, HandlerContext
from handlers.ensure_task import ensure_task

# GitHub sends each change twice, once for each end. The task of the dependent issue may change.
_DEPENDENT_KEYS = {
    "blocked_by_added": "blocked_issue",
    "blocked_by_removed": "blocked_issue",
    "sub_issue_added": "parent_issue",
    "sub_issue_removed": "parent_issue",
}


async def on_dependency(delivery: Delivery, context: HandlerContext) -> None:
    """An issue depends on another one now, or no longer."""
    dependent = delivery.payload.get(_DEPENDENT_KEYS.get(delivery.action or "", ""))
    repository = await context.repository(delivery)
    if dependent is None or repository is None or repository.config is None:
        return
    number, database = int(dependent["number"]), context.work.database
    async with database.autocommit() as connection:
        stored_task = await store.load_task(connection, repository.id, number)
    if (
        stored_task is None
        and await ensure_task(context, repository, number, datetime.fromisoformat(dependent["updated_at"])) is None
    ):
        return
    github = context.github(repository)
    # The payload does not list the other relations, and may be older than the stored ones.
    issue = await github.get_issue(repository.full_name, number)
    signal = await issue_reader.make_issue_seen(database, github, repository, issue, context.forecasts, force_read=True)
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        await unit.apply(number, signal)
