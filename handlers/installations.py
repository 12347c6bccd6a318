"""Handles installations: App installed, removed or suspended; repositories added or removed."""

from __future__ import annotations

from typing import Any

from adapters.database import repositories
from engine.config_sync import register_repository, sync_config
from handlers.context import Delivery, HandlerContext


async def on_installation(delivery: Delivery, context: HandlerContext) -> None:
    """The App was installed, removed, suspended or unsuspended."""
    installation = delivery.payload["installation"]
    if delivery.action in ("deleted", "suspend"):
        async with context.work.database.transaction() as connection:
            await repositories.deactivate_installation(connection, int(installation["id"]))
        return
    if delivery.action in ("created", "unsuspend", "new_permissions_accepted"):
        await _save_repositories(context, int(installation["id"]), delivery.payload.get("repositories") or [])


async def on_installation_repositories(delivery: Delivery, context: HandlerContext) -> None:
    """Repositories were added to an installation or removed."""
    installation_id = int(delivery.payload["installation"]["id"])
    async with context.work.database.transaction() as connection:
        for removed in delivery.payload.get("repositories_removed") or []:
            await repositories.update_repository(connection, int(removed["id"]), active=False)
    await _save_repositories(context, installation_id, delivery.payload.get("repositories_added") or [])


async def _save_repositories(
    context: HandlerContext, installation_id: int, payload_repositories: list[dict[str, Any]]
) -> None:
    """These deliveries lack the default branch: read what the installation can access."""
    if not payload_repositories:
        return
    github = context.client.installation(installation_id)
    repository_ids = {int(entry["id"]) for entry in payload_repositories}
    for repository in await github.list_installation_repositories():
        if repository.id not in repository_ids:
            continue
        async with context.work.database.transaction() as connection:
            await register_repository(connection, installation_id, repository)
        await sync_config(context.work, github, repository.id, repository.full_name)
