"""`orchestrator digest`: print a repository's progress from the database, also while the bot runs."""

from __future__ import annotations

from datetime import UTC, datetime

from adapters.database import repositories
from bot.cli.database import open_read_only, select_repository
from config.settings import Settings
from core.texts.digest import digest_text
from engine.digest_data import load_digest


async def digest_markdown(settings: Settings, name_filter: str, now: datetime | None = None) -> str:
    """The digest as Markdown.

    Raises LookupError if the repository is unknown, must be named, or has no configuration.
    """
    async with open_read_only(settings) as connection:
        repository_id, full_name = await select_repository(connection, name_filter)
        row = await repositories.load_repository(connection, repository_id)
        digest = await load_digest(connection, row, now or datetime.now(UTC)) if row else None
        if digest is None:
            raise LookupError(f"{full_name} has no configuration: the orchestrator only observes there.")
        return digest_text(digest)
