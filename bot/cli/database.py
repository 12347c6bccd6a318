"""Opens the database for the command line, beside a running bot, and finds repositories in it by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import repositories
from adapters.database.database import Database
from adapters.database.jobs import JobQueue
from bot.app import database_url
from config.settings import Settings


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[tuple[Database, JobQueue]]:
    """The database and its job queue."""
    async with AsyncExitStack() as stack:
        url = await database_url(settings, stack)
        database = Database(url, 2)
        stack.push_async_callback(database.close)
        await database.migrate()
        jobs = JobQueue(url, pool_size=2)
        await stack.enter_async_context(jobs.app.open_async())
        yield database, jobs


@asynccontextmanager
async def open_read_only(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A connection that sees one snapshot of the database and changes nothing."""
    async with AsyncExitStack() as stack:
        database = Database(await database_url(settings, stack), 2)
        stack.push_async_callback(database.close)
        await database.migrate()
        connection = await stack.enter_async_context(database.transaction())
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        yield connection


async def select_repositories(connection: AsyncConnection, name_filter: str) -> Sequence[tuple[int, str]]:
    """The repository of this name, or all. Raises LookupError if there is none."""
    all_repositories = await repositories.list_all(connection)
    matching = [
        (repository_id, full_name)
        for repository_id, full_name in all_repositories
        if not name_filter or full_name.lower() == name_filter.lower()
    ]
    if not matching:
        names = ", ".join(full_name for _, full_name in all_repositories) or "none yet"
        raise LookupError(
            f"There is no repository {name_filter!r}; there are: {names}"
            if name_filter
            else "The database has no repository."
        )
    return matching


async def select_repository(connection: AsyncConnection, name_filter: str) -> tuple[int, str]:
    """The repository of this name, or the only one. Raises LookupError if there is none, or more than one."""
    matching = await select_repositories(connection, name_filter)
    if len(matching) > 1:
        raise LookupError("Name one: " + ", ".join(f"--repository {full_name}" for _, full_name in matching))
    return matching[0]
