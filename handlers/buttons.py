"""Buttons that somebody presses on a check of ours."""

from __future__ import annotations

import structlog

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.models import CheckRun, User
from core.commands.buttons import COMMAND_OF
from core.effects.base import Comment
from core.intake.references import parse_branch
from core.texts.checks import CONFLICT_CHECK
from core.texts.replies import stale_button
from handlers.context import Delivery, Desk
from handlers.run_commands import Order, Place, carry_out

log = structlog.get_logger()


async def pressed(delivery: Delivery, desk: Desk) -> None:
    """Somebody pressed a button of ours: it means the command that it stands for, with that person's permission.

    GitHub tells only of buttons of our own App; that is checked all the same, as the identifier is.
    """
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    run = CheckRun.model_validate(delivery.payload["check_run"])
    identifier = str((delivery.payload.get("requested_action") or {}).get("identifier"))
    us = await desk.identity(repository.installation_id)
    if run.app is None or run.app.id != us.app_id or run.name != CONFLICT_CHECK or identifier not in COMMAND_OF:
        log.warning("button_unknown", check=run.name, identifier=identifier)
        return
    who = User.model_validate(delivery.payload["sender"])
    # One for each time it is pressed, and the same when GitHub delivers it again.
    key = f"press:{run.id}:{identifier}:{delivery.guid}"
    async with desk.work.database.autocommit() as connection:
        tasks = await store.tasks_at_head(connection, repository.id, run.head_sha)
    if not tasks:
        await _of_old(desk, repository, run, who, key)
        return
    name, argument = COMMAND_OF[identifier]
    for number in tasks:  # hardly ever more than one: two tasks whose pull requests have one head
        where = await _pull_of(desk, repository, number)
        await carry_out(
            delivery, desk, repository, number, who, [Order(name, argument, key)], Place(where, pressed=True)
        )


async def _pull_of(desk: Desk, repository: RepositoryRow, number: int) -> int:
    """The pull request that carries the task: that is where the button was. Its issue, should it be gone."""
    async with desk.work.database.autocommit() as connection:
        task = await store.task(connection, repository.id, number)
    return task.pull.number if task and task.pull else number


async def _of_old(desk: Desk, repository: RepositoryRow, run: CheckRun, who: User, key: str) -> None:
    """The commit is no task's present one: what was found of it may hold no longer, so nothing is done, and said so.

    Which task it was about, our own mark on the check tells.
    """
    named = parse_branch((run.external_id or "").split(" ")[0])
    async with desk.work.database.autocommit() as connection:
        task = await store.task(connection, repository.id, named[0]) if named else None
    if task is None:
        log.info("stale_button", head=run.head_sha, check=run.id)
        return
    where = task.pull.number if task.pull else task.number
    text = stale_button(who.login, run.head_sha, task)
    await desk.work.send(repository.id, task.number, Comment(where, f"answer:{key}", text))
