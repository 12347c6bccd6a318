"""Registers a task whose first event is late or lost when another event about it arrives."""

from __future__ import annotations

from datetime import datetime

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.errors import Gone, NotFound
from adapters.github.models import PullRequest
from core.task.labels import is_task
from engine import issue_reader
from engine.attribution import claimed_issues, find_task
from handlers.context import HandlerContext


async def ensure_task(
    context: HandlerContext, repository: RepositoryRow, number: int, event_at: datetime
) -> int | None:
    """Register an issue in its present state if it is a task and was open at the time of the event; returns its number.

    This does not approve its text: the event that names its author does, when it arrives.
    """
    if repository.config is None:
        return None
    database, github = context.work.database, context.github(repository)
    async with database.autocommit() as connection:
        if await store.load_task(connection, repository.id, number):
            return number
        if number == await store.digest_issue_number(connection, repository.id):
            return None
    try:
        issue = await github.get_issue(repository.full_name, number)
    except (NotFound, Gone):
        return None
    was_open = issue.closed_at is None or issue.closed_at >= event_at
    if issue.is_pull_request or not is_task(issue.label_names) or not was_open:
        return None
    signal = await issue_reader.make_issue_seen(
        database, github, repository, issue, context.forecasts, force_read=True, was_open=was_open
    )
    async with context.work.begin(repository.id) as unit:
        return number if (await unit.apply(number, signal)).task else None


async def resolve_task(context: HandlerContext, repository: RepositoryRow, pull: PullRequest) -> int | None:
    """The task that a pull request works on; it is registered if its own event is late."""
    if (number := await find_task(context.work.database, repository, pull)) is not None:
        return number
    for issue_number in claimed_issues(repository, pull):
        if await ensure_task(context, repository, issue_number, pull.updated_at):
            return issue_number
    return None
