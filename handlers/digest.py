"""The digest issue changed: somebody ticked a box, wrote into it, or opened it again."""

from __future__ import annotations

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.models import Issue, User
from core.commands.checkboxes import Box, ticked
from core.commands.registry import at_least
from core.effects.base import UpsertDigest
from engine import issue_reader
from handlers.context import Delivery, Desk
from handlers.run_commands import Order, Place, carry_out


async def changed(
    delivery: Delivery, desk: Desk, repository: RepositoryRow, told: Issue, sender: User, *, us: bool
) -> None:
    """A ticked box means its command, with the permission of whoever ticked it; whatever else was written goes."""
    if us or delivery.action not in ("edited", "reopened"):
        return
    if delivery.action == "edited":
        before = ((delivery.payload.get("changes") or {}).get("body") or {}).get("from")
        boxes = ticked(before, told.body or "") if isinstance(before, str) else ()
        if boxes:
            await _carried_out(delivery, desk, repository, sender, boxes)
    async with desk.work.on(repository.id) as unit:
        await unit.want(0, UpsertDigest())


async def _carried_out(
    delivery: Delivery, desk: Desk, repository: RepositoryRow, who: User, boxes: tuple[Box, ...]
) -> None:
    # Whoever may not write cannot edit our issue either; should it come to us all the same, it is nobody's command.
    role = await issue_reader.role_of(desk.github(repository), repository.full_name, who)
    if not at_least(role, "write"):
        return
    for box in boxes:
        async with desk.work.database.autocommit() as connection:
            task = await store.task(connection, repository.id, box.task)
        if task is None:
            continue
        # One for each time it is ticked, and the same when GitHub delivers it again.
        order = Order(*box.command, f"tick:{box.word}:{box.task}:{delivery.guid}")
        at = Place(box.task, pressed=True)
        await carry_out(delivery, desk, repository, box.task, who, [order], at, role)
