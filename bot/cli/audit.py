"""`orchestrator verify` and `orchestrator history`: the audit trail, read from the database beside the running bot."""

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
async def reading(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A connection that sees one state of the database throughout, and changes nothing."""
    async with AsyncExitStack() as stack:
        database = Database(await database_url(settings, stack), 2)
        stack.push_async_callback(database.close)
        await database.migrate()
        connection = await stack.enter_async_context(database.transaction())
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        yield connection


async def named(connection: AsyncConnection, name: str) -> Sequence[tuple[int, str]]:
    """The repositories that are meant: the one of this name, or all. Raises LookupError where there is none."""
    known = await repositories.list_all(connection)
    found = [(id_, full_name) for id_, full_name in known if not name or full_name.lower() == name.lower()]
    if not found:
        there = ", ".join(full_name for _, full_name in known) or "none yet"
        raise LookupError(
            f"There is no repository {name!r}; there are: {there}" if name else "The database has no repository."
        )
    return found


async def verdicts(settings: Settings, name: str = "") -> dict[str, AuditResult]:
    """How the trail of each repository is found. Raises LookupError for a name that is not known."""
    async with reading(settings) as connection:
        return {full_name: await audit_log.verify(connection, id_) for id_, full_name in await named(connection, name)}


async def history_of(settings: Settings, name: str, number: int, limit: int) -> list[Event]:
    """The end of a task's trail. Raises LookupError where the repository is not known, or has to be named."""
    async with reading(settings) as connection:
        found = await named(connection, name)
        if len(found) > 1:
            raise LookupError("Name one: " + ", ".join(f"--repository {full_name}" for _, full_name in found))
        events = await audit_log.latest_events(connection, found[0][0], number, limit)
        if not events:
            raise LookupError(f"The audit log has no entry for #{number} in {found[0][1]}.")
        return events


def line_of(event: Event, *, as_json: bool) -> str:
    """One line of the trail, for people or as JSON."""
    if as_json:
        known = {"type": event.type, "task": event.task, "agent": event.agent, "attempt": event.attempt}
        rest = {"actor": event.actor, "occurred_at": event.occurred_at.isoformat()}
        return json.dumps({**known, **rest, "payload": dict(event.payload), "changes": dict(event.changes)})
    who = event.actor or event.agent or ""
    attempt = f" (attempt {event.attempt})" if event.attempt else ""
    changed = sorted(event.changes.items())
    changes = ", ".join(f"{name}: {now}" if was is None else f"{name}: {was} → {now}" for name, (was, now) in changed)
    why = event.payload.get("reason") or event.payload.get("kind") or ""
    told = " · ".join(part for part in (one_line(str(why), 120), changes) if part)
    return f"{event.occurred_at:%Y-%m-%d %H:%M:%S}  {event.type:<20} {who}{attempt}  {told}".rstrip()
