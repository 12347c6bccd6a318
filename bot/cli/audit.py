"""`orchestrator audit`: check and read the audit log, also while the bot runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import audit_log, repositories
from adapters.database.audit_log import AuditResult
from adapters.database.database import Database
from bot.app import database_url
from config.settings import Settings
from core.audit.events import Event
from core.text_safety.sanitize import one_line


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


async def verify_repositories(settings: Settings, name_filter: str = "") -> dict[str, AuditResult]:
    """The verification result of each repository's audit log. Raises LookupError for an unknown name."""
    async with open_read_only(settings) as connection:
        return {
            full_name: await audit_log.verify(connection, repository_id)
            for repository_id, full_name in await select_repositories(connection, name_filter)
        }


async def task_history(settings: Settings, name_filter: str, number: int, limit: int) -> list[Event]:
    """The end of a task's audit log. Raises LookupError if the repository is unknown, or must be named."""
    async with open_read_only(settings) as connection:
        repositories_found = await select_repositories(connection, name_filter)
        if len(repositories_found) > 1:
            raise LookupError(
                "Name one: " + ", ".join(f"--repository {full_name}" for _, full_name in repositories_found)
            )
        events = await audit_log.latest_events(connection, repositories_found[0][0], number, limit)
        if not events:
            raise LookupError(f"The audit log has no entry for #{number} in {repositories_found[0][1]}.")
        return events


def format_event(event: Event, *, as_json: bool) -> str:
    """One event of the audit log, for people or as JSON."""
    if as_json:
        identity_fields = {"type": event.type, "task": event.task, "agent": event.agent, "attempt": event.attempt}
        actor_fields = {"actor": event.actor, "occurred_at": event.occurred_at.isoformat()}
        return json.dumps(
            {**identity_fields, **actor_fields, "payload": dict(event.payload), "changes": dict(event.changes)}
        )
    author = event.actor or event.agent or ""
    attempt = f" (attempt {event.attempt})" if event.attempt else ""
    sorted_changes = sorted(event.changes.items())
    changes = ", ".join(
        f"{name}: {after}" if before is None else f"{name}: {before} → {after}"
        for name, (before, after) in sorted_changes
    )
    reason = event.payload.get("reason") or event.payload.get("kind") or ""
    details = " · ".join(part for part in (one_line(str(reason), 120), changes) if part)
    return f"{event.occurred_at:%Y-%m-%d %H:%M:%S}  {event.type:<20} {author}{attempt}  {details}".rstrip()
