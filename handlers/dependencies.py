"""GitHub's own relations between issues: dependencies, and sub-issues of a parent."""

from __future__ import annotations

from datetime import datetime

from adapters.database import store
from engine import issue_reader
from handlers.context import Delivery, Desk
from handlers.ensure_task import introduced

# Each change is told twice, once from either end. Whoever waits is the one whose task may be another by it.
_WAITING = {
    "blocked_by_added": "blocked_issue",
    "blocked_by_removed": "blocked_issue",
    "sub_issue_added": "parent_issue",
    "sub_issue_removed": "parent_issue",
}


async def relation(delivery: Delivery, desk: Desk) -> None:
    """An issue waits for another one now, or no longer."""
    waiting = delivery.payload.get(_WAITING.get(delivery.action or "", ""))
    repository = await desk.repository(delivery)
    if waiting is None or repository is None or repository.config is None:
        return
    number, database = int(waiting["number"]), desk.work.database
    async with database.autocommit() as connection:
        known = await store.task(connection, repository.id, number)
    if (
        known is None
        and await introduced(desk, repository, number, datetime.fromisoformat(waiting["updated_at"])) is None
    ):
        return
    github = desk.github(repository)
    # The payload does not say what else there is, and may be older than what we know.
    issue = await github.get_issue(repository.full_name, number)
    signal = await issue_reader.issue_seen(database, github, repository, issue, desk.work.foresight, afresh=True)
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        await unit.apply(number, signal)
