"""`orchestrator dead-letters`: list, retry and discard dead letters."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from adapters.database import dead_letters as dead_letter_store
from bot.cli.database import open_database
from config.settings import Settings
from core.dead_letter import DeadLetter
from core.text_safety.sanitize import one_line


async def list_dead_letters(settings: Settings) -> list[DeadLetter]:
    """All dead letters, oldest first."""
    async with open_database(settings) as (database, _), database.autocommit() as connection:
        return await dead_letter_store.all_dead_letters(connection)


async def retry_dead_letters(settings: Settings, dead_letter_id: str | None = None, *, retry_all: bool = False) -> int:
    """Let the running bot retry dead letters: one, all with `retry_all`, or all alert messages; returns how many.

    Raises LookupError for one that does not exist or cannot be sent again.
    """
    async with open_database(settings) as (database, jobs), database.transaction() as connection:
        count = await dead_letter_store.retry_all(
            connection, jobs, datetime.now(UTC), dead_letter_id, include_all=retry_all
        )
    if dead_letter_id is not None and not count:
        raise LookupError(
            f"There is no dead letter {one_line(dead_letter_id, 80)} that can be sent again; "
            "`orchestrator dead-letters` lists them."
        )
    return count


async def discard_dead_letter(settings: Settings, dead_letter_id: str) -> None:
    """Discard a dead letter that a person has seen. Raises LookupError if it does not exist."""
    async with open_database(settings) as (database, _), database.transaction() as connection:
        if not await dead_letter_store.discard(connection, dead_letter_id):
            raise LookupError(
                f"There is no dead letter {one_line(dead_letter_id, 80)}; `orchestrator dead-letters` lists them."
            )


def format_dead_letter(dead_letter: DeadLetter, *, as_json: bool = False) -> str:
    """One dead letter as a line for people, or as JSON."""
    if as_json:
        return json.dumps({**asdict(dead_letter), "at": dead_letter.created_at.isoformat()})
    location = f"{dead_letter.repository}#{dead_letter.number}" if dead_letter.number else dead_letter.repository or "-"
    failed_at = f"{dead_letter.created_at:%Y-%m-%d %H:%M}"
    failure = f"({dead_letter.attempts} tries): {dead_letter.error}"
    line = f"{dead_letter.id}  {failed_at}  {location}  {dead_letter.subject}  {failure}"
    return one_line(line, 500)
