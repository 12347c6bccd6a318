"""`orchestrator rebuild`: an empty database is filled again from what GitHub remembers. Run before the bot starts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import structlog

from adapters.database import repositories, store
from adapters.github.errors import GitHubError
from bot.app import Bot, assemble
from config.settings import Settings
from engine.card_state import CardStateCodec
from engine.config_sync import read_configuration
from engine.restore import NotEmptyError, RestoredTask, RestoreReport, has_tasks, rebuild

log = structlog.get_logger()

PATIENCE = 30  # seconds in which a start asks what an empty database may have forgotten

# Of these GitHub remembers nothing that we could trust.
LOST = (
    "the earlier audit log and escalations",
    "changes of agents at run time (`/agents …`)",
    "retrospectives: their issues stay, and the next one covers the time from now on",
    "slash commands and reviews that the bot had not handled yet: people must repeat them",
)


async def rebuilt(settings: Settings, only: str = "", former_keys: Sequence[Path] = ()) -> list[RestoreReport]:
    """Rebuild the repository of this name, or all where the App is installed.

    Raises NotEmptyError where there are tasks already, LookupError for a name that is not known, OSError or ValueError
    for a former key that cannot be read.
    """
    key = settings.github_private_key.get_secret_value()
    former = [path.read_text() for path in former_keys]
    for path, pem in zip(former_keys, former, strict=True):
        try:
            CardStateCodec(settings.github_app_id, pem)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    seal = CardStateCodec(settings.github_app_id, key, *former)
    async with assemble(settings) as bot:
        return await rebuild_all(bot, seal, only)


async def rebuild_all(bot: Bot, seal: CardStateCodec, only: str = "") -> list[RestoreReport]:
    """Rebuild with a bot that is assembled and does not run."""
    async with bot.database.autocommit() as connection:
        if await store.has_tasks(connection):
            raise NotEmptyError("The database already has tasks; only an empty one can be rebuilt.")
    found = []
    for installation in await bot.client.app.list_installations():
        if installation.suspended_at is not None:
            continue
        github = bot.client.installation(installation.id)
        for seen in await github.list_installation_repositories():
            if seen.archived or (only and seen.full_name.lower() != only.lower()):
                continue
            async with bot.database.transaction() as connection:
                await repositories.save_repository(
                    connection,
                    seen.id,
                    installation_id=installation.id,
                    full_name=seen.full_name,
                    default_branch=seen.default_branch,
                    active=True,
                )
            await read_configuration(bot.work, github, seen.id, seen.full_name)
            async with bot.database.autocommit() as connection:
                row = await repositories.load_repository(connection, seen.id)
            if row is not None:
                us = await bot.outbox.identity(installation.id)
                found.append(await rebuild(bot.work, github, row, seal, us.bot_id))
    if not found:
        raise LookupError(f"The App is not installed in {only}." if only else "The App is not installed anywhere.")
    return found


async def forgotten(bot: Bot) -> list[str]:
    """The repositories whose tasks an empty database has forgotten: there are cards of ours, and it knows of no task.

    Looked at once, before the bot begins: it would take those tasks for new. Where GitHub cannot be reached nothing is
    known to be forgotten.
    """
    async with bot.database.autocommit() as connection:
        if await store.has_tasks(connection):
            return []
    settings = bot.settings
    seal = CardStateCodec(settings.github_app_id, settings.github_private_key.get_secret_value())
    names: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            for installation in await bot.client.app.list_installations():
                if installation.suspended_at is not None:
                    continue
                github = bot.client.installation(installation.id)
                us = await bot.outbox.identity(installation.id)
                names += [
                    seen.full_name
                    for seen in await github.list_installation_repositories()
                    if not seen.archived and await has_tasks(github, seen.full_name, seen.id, seal, us.bot_id)
                ]
    except (GitHubError, OSError) as error:
        log.warning("restore_check_skipped", error=str(error))
    return names


def lines_of(one: RestoreReport) -> list[str]:
    """What became of a repository, for people."""
    if one.problem:
        return [f"{one.repository}: nothing restored: {one.problem}"]
    tasks = [issue for issue in one.issues if issue.task]
    told = [f"{one.repository}: {len(tasks)} of {len(one.issues)} issues restored"]
    rows = [("issue", "status", "holder", "attempt", "from", "")] + [_cells(issue) for issue in one.issues]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    told += ["  ".join([*(f"{row[n]:<{widths[n]}}" for n in range(5)), row[5]]).rstrip() for row in rows]
    return told


def _cells(issue: RestoredTask) -> tuple[str, str, str, str, str, str]:
    task = issue.task
    if task is None:
        return (f"#{issue.number}", "-", "-", "-", "-", issue.note)
    holder = task.lease.agent if task.lease else "-"
    return (f"#{issue.number}", task.status.value, holder, str(task.attempt), issue.how, issue.note)


def as_json(found: Sequence[RestoreReport]) -> str:
    """The same for programs."""
    told = [
        {
            "repository": one.repository,
            "problem": one.problem,
            "issues": [
                dict(zip(("issue", "status", "holder", "attempt", "from", "note"), _cells(issue), strict=True))
                for issue in one.issues
            ],
        }
        for one in found
    ]
    return json.dumps({"repositories": told, "lost": LOST})
