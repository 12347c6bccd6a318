"""`orchestrator digest`: the progress of a repository, drawn from the database beside the running bot."""

from __future__ import annotations

from datetime import UTC, datetime

from adapters.database import repositories
from bot.cli.audit import named, reading
from config.settings import Settings
from core.texts.digest import digest_text
from engine.digest_data import digest_of


async def page(settings: Settings, name: str, now: datetime | None = None) -> str:
    """The digest as Markdown.

    Raises LookupError where the repository is not known, has to be named, or has no configuration.
    """
    async with reading(settings) as connection:
        found = await named(connection, name)
        if len(found) > 1:
            raise LookupError("Name one: " + ", ".join(f"--repository {full_name}" for _, full_name in found))
        row = await repositories.load_repository(connection, found[0][0])
        drawn = await digest_of(connection, row, now or datetime.now(UTC)) if row else None
        if drawn is None:
            raise LookupError(f"{found[0][1]} has no configuration: the orchestrator only observes there.")
        return digest_text(drawn)
