"""The App is installed, removed, suspended; repositories come and go."""

from __future__ import annotations

from typing import Any

from adapters.database import repositories
from engine.config_sync import read_configuration
from handlers.context import Delivery, Desk


async def installation(delivery: Delivery, desk: Desk) -> None:
    """The App was installed somewhere, or removed, or (un)suspended."""
    told = delivery.payload["installation"]
    if delivery.action in ("deleted", "suspend"):
        async with desk.work.database.transaction() as connection:
            await repositories.forget_installation(connection, int(told["id"]))
        return
    if delivery.action in ("created", "unsuspend", "new_permissions_accepted"):
        await _learn(desk, int(told["id"]), delivery.payload.get("repositories") or [])


async def changed(delivery: Delivery, desk: Desk) -> None:
    """Repositories were added to an installation or taken out."""
    installation_id = int(delivery.payload["installation"]["id"])
    async with desk.work.database.transaction() as connection:
        for gone in delivery.payload.get("repositories_removed") or []:
            await repositories.update_repository(connection, int(gone["id"]), active=False)
    await _learn(desk, installation_id, delivery.payload.get("repositories_added") or [])


async def _learn(desk: Desk, installation_id: int, told: list[dict[str, Any]]) -> None:
    """These deliveries name repositories without their default branch: read what the installation really sees."""
    if not told:
        return
    github = desk.client.installation(installation_id)
    named = {int(entry["id"]) for entry in told}
    for seen in await github.installation_repositories():
        if seen.id not in named:
            continue
        async with desk.work.database.transaction() as connection:
            await repositories.save_repository(
                connection,
                seen.id,
                installation_id=installation_id,
                full_name=seen.full_name,
                default_branch=seen.default_branch,
                active=not seen.archived,
            )
        await read_configuration(desk.work, github, seen.id, seen.full_name)
