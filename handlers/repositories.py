"""Handles renamed, transferred and archived repositories, which are identified by id."""

from __future__ import annotations

from adapters.database import repositories
from handlers.context import Delivery, HandlerContext


async def on_repository(delivery: Delivery, context: HandlerContext) -> None:
    """The repository itself changed."""
    repository_id = int(delivery.payload["repository"]["id"])
    if delivery.action in ("archived", "deleted"):
        async with context.work.database.transaction() as connection:
            await repositories.update_repository(connection, repository_id, active=False)
        return
    await context.repository(delivery)  # updates name, branch and owner
