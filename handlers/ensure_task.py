"""A task of which we have not heard yet, although there is news about it: that of its beginning is late or lost."""

from __future__ import annotations

from datetime import datetime

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.errors import Gone, NotFound
from adapters.github.models import PullRequest
from core.task.labels import is_task
from engine import issue_reader
from engine.attribution import named_by, task_of
from handlers.context import HandlerContext


async def ensure_task(
    context: HandlerContext, repository: RepositoryRow, number: int, event_at: datetime
) -> int | None:
    """Take an issue in as it is now, if it is a task, and was an open one at the time of the news; gives its number.

    Nobody has approved its text by that: the news of who wrote it does, when it comes.
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
    signal = await issue_reader.issue_seen(
        database, github, repository, issue, context.forecasts, afresh=True, was_open=was_open
    )
    async with context.work.on(repository.id) as unit:
        return number if (await unit.apply(number, signal)).task else None


async def resolve_task(context: HandlerContext, repository: RepositoryRow, pull: PullRequest) -> int | None:
    """The task that a pull request works on; one that it names is taken in, should its own news be late."""
    if (number := await task_of(context.work.database, repository, pull)) is not None:
        return number
    for issue_number in named_by(repository, pull):
        if await ensure_task(context, repository, issue_number, pull.updated_at):
            return issue_number
    return None
