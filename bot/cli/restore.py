"""`orchestrator restore`: rebuild an empty database from GitHub before the bot starts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import structlog

from adapters.database import repositories, store
from adapters.github import GitHub
from adapters.github.errors import GitHubError
from adapters.github.models import Repository
from bot.app import Bot, assemble
from config.settings import Settings
from engine.card_state import CardStateCodec
from engine.config_sync import register_repository, sync_config
from engine.restore import NotEmptyError, RestoredTask, RestoreReport, has_tasks, restore_repository

log = structlog.get_logger()

CHECK_TIMEOUT_SECONDS = 30  # seconds to check at the start whether an empty database must be restored

# GitHub stores nothing trustworthy about these.
NOT_RESTORED = (
    "the earlier audit log and escalations",
    "changes of agents at run time (`/agents …`)",
    "retrospectives: their issues stay, and the next one covers the time from now on",
    "slash commands and reviews that the bot had not handled yet: people must repeat them",
)


async def restore_repositories(
    settings: Settings, repository_name: str = "", previous_keys: Sequence[Path] = ()
) -> list[RestoreReport]:
    """Restore the repository of this name, or all where the App is installed.

    Raises NotEmptyError if there are tasks already, LookupError for an unknown name, OSError or ValueError for an
    unreadable earlier key.
    """
    key = settings.github_private_key.get_secret_value()
    previous_pems = [path.read_text() for path in previous_keys]
    for path, pem in zip(previous_keys, previous_pems, strict=True):
        try:
            CardStateCodec(settings.github_app_id, pem)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    codec = CardStateCodec(settings.github_app_id, key, *previous_pems)
    async with assemble(settings) as bot:
        return await restore_all(bot, codec, repository_name)


async def restore_all(bot: Bot, codec: CardStateCodec, repository_name: str = "") -> list[RestoreReport]:
    """Restore with a bot that is assembled and not running."""
    async with bot.database.autocommit() as connection:
        if await store.has_tasks(connection):
            raise NotEmptyError("The database already has tasks; only an empty one can be restored.")
    reports = []
    async for installation_id, github, repository in _active_repositories(bot):
        if repository_name and repository.full_name.lower() != repository_name.lower():
            continue
        async with bot.database.transaction() as connection:
            await register_repository(connection, installation_id, repository)
        await sync_config(bot.work, github, repository.id, repository.full_name)
        async with bot.database.autocommit() as connection:
            row = await repositories.load_repository(connection, repository.id)
        if row is not None:
            identity = await bot.outbox.identity(installation_id)
            reports.append(await restore_repository(bot.work, github, row, codec, identity.bot_id))
    if not reports:
        raise LookupError(
            f"The App is not installed in {repository_name}."
            if repository_name
            else "The App is not installed anywhere."
        )
    return reports


async def _active_repositories(bot: Bot) -> AsyncIterator[tuple[int, GitHub, Repository]]:
    """The repositories of all installations, without suspended and archived ones, each with its installation."""
    for installation in await bot.client.app.list_installations():
        if installation.suspended_at is not None:
            continue
        github = bot.client.installation(installation.id)
        for repository in await github.list_installation_repositories():
            if not repository.archived:
                yield installation.id, github, repository


async def repositories_to_restore(bot: Bot) -> list[str]:
    """The repositories that must be restored: they have task cards, but the database has no task of them.

    Checked once before the bot starts, because it would treat those tasks as new. If GitHub cannot be reached, nothing
    is known to be missing.
    """
    async with bot.database.autocommit() as connection:
        if await store.has_tasks(connection):
            return []
    settings = bot.settings
    codec = CardStateCodec(settings.github_app_id, settings.github_private_key.get_secret_value())
    names: list[str] = []
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            async for installation_id, github, repository in _active_repositories(bot):
                identity = await bot.outbox.identity(installation_id)
                if await has_tasks(github, repository.full_name, repository.id, codec, identity.bot_id):
                    names.append(repository.full_name)
    except (GitHubError, OSError) as error:
        log.warning("restore_check_skipped", error=str(error))
    return names


def format_report(report: RestoreReport) -> list[str]:
    """The result for a repository, for people."""
    if report.problem:
        return [f"{report.repository}: nothing restored: {report.problem}"]
    tasks = [issue for issue in report.issues if issue.task]
    lines = [f"{report.repository}: {len(tasks)} of {len(report.issues)} issues restored"]
    rows = [("issue", "status", "holder", "attempt", "from", "")] + [_cells(issue) for issue in report.issues]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines += ["  ".join([*(f"{row[n]:<{widths[n]}}" for n in range(5)), row[5]]).rstrip() for row in rows]
    return lines


def _cells(issue: RestoredTask) -> tuple[str, str, str, str, str, str]:
    task = issue.task
    if task is None:
        return (f"#{issue.number}", "-", "-", "-", "-", issue.note)
    holder = task.lease.agent if task.lease else "-"
    return (f"#{issue.number}", task.status.value, holder, str(task.attempt), issue.source, issue.note)


def to_json(reports: Sequence[RestoreReport]) -> str:
    """The result for programs."""
    results = [
        {
            "repository": report.repository,
            "problem": report.problem,
            "issues": [
                dict(zip(("issue", "status", "holder", "attempt", "from", "note"), _cells(issue), strict=True))
                for issue in report.issues
            ],
        }
        for report in reports
    ]
    return json.dumps({"repositories": results, "lost": NOT_RESTORED})
