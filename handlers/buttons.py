"""Handles button presses on the bot's checks."""

from __future__ import annotations

import structlog

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.models import CheckRun, User
from core.commands.buttons import COMMAND_BY_BUTTON
from core.effects.base import Comment
from core.intake.references import parse_branch
from core.texts.checks import CONFLICT_CHECK
from core.texts.replies import stale_button
from handlers.context import Delivery, HandlerContext
from handlers.run_commands import CommandInvocation, CommandOrigin, run_commands

log = structlog.get_logger()


async def on_button(delivery: Delivery, context: HandlerContext) -> None:
    """Carry out the command of a button with the permission of the user who pressed it.

    GitHub sends only presses of the App's own buttons; this is checked anyway, and so is the identifier.
    """
    repository = await context.repository(delivery)
    if repository is None or repository.config is None:
        return
    run = CheckRun.model_validate(delivery.payload["check_run"])
    identifier = str((delivery.payload.get("requested_action") or {}).get("identifier"))
    identity = await context.identity(repository.installation_id)
    if (
        run.app is None
        or run.app.id != identity.app_id
        or run.name != CONFLICT_CHECK
        or identifier not in COMMAND_BY_BUTTON
    ):
        log.warning("button_unknown", check=run.name, identifier=identifier)
        return
    user = User.model_validate(delivery.payload["sender"])
    # One per press, and the same if GitHub delivers it again.
    key = f"press:{run.id}:{identifier}:{delivery.guid}"
    async with context.work.database.autocommit() as connection:
        tasks = await store.tasks_at_head(connection, repository.id, run.head_sha)
    if not tasks:
        await _reject_stale_button(context, repository, run, user, key)
        return
    name, argument = COMMAND_BY_BUTTON[identifier]
    for number in tasks:  # rarely more than one: two tasks whose pull requests have the same head
        origin_number = await _button_location(context, repository, number)
        await run_commands(
            delivery,
            context,
            repository,
            number,
            user,
            [CommandInvocation(name, argument, key)],
            CommandOrigin(origin_number, by_button=True),
        )


async def _button_location(context: HandlerContext, repository: RepositoryRow, number: int) -> int:
    """The pull request of the task, where the button was; the issue if there is no pull request any more."""
    async with context.work.database.autocommit() as connection:
        task = await store.load_task(connection, repository.id, number)
    return task.pull.number if task and task.pull else number


async def _reject_stale_button(
    context: HandlerContext, repository: RepositoryRow, run: CheckRun, user: User, key: str
) -> None:
    """Answer that the commit is outdated and do nothing, because its result may no longer be true.

    The bot's own mark on the check says which task it was about.
    """
    attempt_branch = parse_branch((run.external_id or "").split(" ")[0])
    async with context.work.database.autocommit() as connection:
        task = await store.load_task(connection, repository.id, attempt_branch[0]) if attempt_branch else None
    if task is None:
        log.info("stale_button", head=run.head_sha, check=run.id)
        return
    comment_number = task.pull.number if task.pull else task.number
    text = stale_button(user.login, run.head_sha, task)
    await context.work.enqueue_effects(repository.id, task.number, Comment(comment_number, f"answer:{key}", text))
