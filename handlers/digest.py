"""Handles edits of the digest issue: ticked checkboxes, other changes, reopening."""

from __future__ import annotations

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.models import Issue, User
from core.commands.checkboxes import CheckboxCommand, newly_ticked
from core.commands.permissions import has_role
from core.effects.base import UpsertDigest
from engine import issue_reader
from handlers.context import Delivery, HandlerContext
from handlers.run_commands import CommandInvocation, CommandOrigin, run_commands


async def on_digest_issue(
    delivery: Delivery, context: HandlerContext, repository: RepositoryRow, issue: Issue, sender: User, *, is_own: bool
) -> None:
    """Carry out the commands of ticked boxes, with the permission of the user who ticked them; other edits are
    reverted.
    """
    if is_own or delivery.action not in ("edited", "reopened"):
        return
    if delivery.action == "edited":
        previous_body = ((delivery.payload.get("changes") or {}).get("body") or {}).get("from")
        commands = newly_ticked(previous_body, issue.body or "") if isinstance(previous_body, str) else ()
        if commands:
            await _run_checkbox_commands(delivery, context, repository, sender, commands)
    async with context.work.begin(repository.id) as unit:
        await unit.session.enqueue_effects(0, UpsertDigest())


async def _run_checkbox_commands(
    delivery: Delivery,
    context: HandlerContext,
    repository: RepositoryRow,
    user: User,
    commands: tuple[CheckboxCommand, ...],
) -> None:
    # A user without write access cannot edit the bot's issue; if such an event arrives anyway, it is no command.
    role = await issue_reader.get_role(context.github(repository), repository.full_name, user)
    if not has_role(role, "write"):
        return
    for command in commands:
        async with context.work.database.autocommit() as connection:
            task = await store.load_task(connection, repository.id, command.task)
        if task is None:
            continue
        # One per tick, and the same if GitHub delivers it again.
        invocation = CommandInvocation(*command.command, f"tick:{command.keyword}:{command.task}:{delivery.guid}")
        origin = CommandOrigin(command.task, by_button=True)
        await run_commands(delivery, context, repository, command.task, user, [invocation], origin, role)
