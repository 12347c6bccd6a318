"""`orchestrator audit`: check and read the audit log, also while the bot runs."""

from __future__ import annotations

import json

from adapters.database import audit_log
from adapters.database.audit_log import AuditResult
from bot.cli.database import open_read_only, select_repositories, select_repository
from config.settings import Settings
from core.audit.events import Event
from core.text_safety.sanitize import one_line


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
        repository_id, full_name = await select_repository(connection, name_filter)
        events = await audit_log.latest_events(connection, repository_id, number, limit)
        if not events:
            raise LookupError(f"The audit log has no entry for #{number} in {full_name}.")
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
