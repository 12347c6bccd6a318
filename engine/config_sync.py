"""A repository's own configuration: read from its default branch, checked, and the last good one kept in force."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import repositories, store
from adapters.github import GitHub
from adapters.github.errors import GitHubError, Invalid, TooLarge
from adapters.github.models import PullRequest, Repository
from adapters.github.template_files import read_templates
from config.problems import ConfigError, Problem
from config.repository import CONFIG_PATH, RepositoryConfig, parse_repository_config
from config.task_templates import TemplateFile
from core.effects.base import CheckRun, EnsureLabels, UpsertCard
from core.escalation.codeowners import MAX_TEXT_LENGTH, PATHS
from core.task.deadlines import DeadlineTarget, TargetKind
from core.task.labels import offered_labels
from core.texts import CONFIG_CHECK, config_check
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

REPOSITORY = DeadlineTarget(TargetKind.REPOSITORY)  # of a repository's own deadlines
RECONCILE = "reconcile"
# The payload of that deadline when every task is to be evaluated again, also where GitHub shows no difference.
FULL_RECONCILE: Mapping[str, Any] = MappingProxyType({"whole": True})
DIGEST = "digest"


async def register_repository(connection: AsyncConnection, installation_id: int, repository: Repository) -> None:
    """Store where a repository is, as GitHub lists it; an archived one is inactive."""
    await repositories.save_repository(
        connection,
        repository.id,
        installation_id=installation_id,
        full_name=repository.full_name,
        default_branch=repository.default_branch,
        active=not repository.archived,
    )


async def sync_config(work: UnitOfWorkFactory, github: GitHub, repository_id: int, full_name: str) -> None:
    """Read the configuration again, and the repository's task templates.

    A bad one changes nothing but the list of problems; a missing one means observe. What a new configuration means for
    the repository's issues, the reconciler finds out; it is made due at once.
    """
    problems: list[str] = []
    text: str | None = None
    config: RepositoryConfig | None = None
    try:
        raw = await github.get_content(full_name, CONFIG_PATH)
        if raw is None:
            # What an organisation wants everywhere stands in its own `.github` repository, if we may see that.
            raw = await github.get_content(f"{full_name.split('/')[0]}/.github", CONFIG_PATH)
        if raw is not None:
            text = raw.decode("utf-8")
            config = parse_repository_config(text, CONFIG_PATH)
    except (ConfigError, UnicodeDecodeError, Invalid, TooLarge) as error:
        problems = [f"line {problem.line}: {problem}" for problem in _problems_of_error(error)]
    except GitHubError:
        log.warning("config_unreadable", repository=full_name)
        raise
    templates: tuple[TemplateFile, ...] | None = None
    values: dict[str, object] = {}
    if text is not None:  # without a configuration the bot only observes
        async with work.database.autocommit() as connection:
            existing = await repositories.template_files(connection, repository_id)
        templates = await read_templates(github, full_name, existing)
        values["codeowners"] = await _read_codeowners(github, full_name)
    now = work.now()
    values |= {"config_problems": problems, "config_read_at": now}
    config_sha = hashlib.sha256((text or "").encode()).hexdigest()
    if not problems:
        values |= {"config": text, "config_sha": config_sha}
    if templates is not None:
        values["templates"] = [asdict(file) for file in templates]
    outdated_cards: list[int] = []
    async with work.database.transaction() as connection:
        row = await repositories.load_repository(connection, repository_id)
        if row and row.problems and not problems:
            outdated_cards = await store.outdated_cards(connection, repository_id)
        previous_sha = await repositories.config_sha(connection, repository_id)
        has_changed = config is not None and previous_sha != config_sha
        if has_changed:
            values["policy_fingerprint"] = ""  # no task was looked at by these yet, by any version of the program
        await repositories.update_repository(connection, repository_id, **values)
        if has_changed:
            await store.set_deadline(connection, repository_id, REPOSITORY, RECONCILE, now, payload=FULL_RECONCILE)
        if config is not None and config.digest.enabled:
            await store.advance_deadline(connection, repository_id, REPOSITORY, DIGEST, config.digest.next_due_at(now))
        elif config is not None:
            await store.delete_deadline(connection, repository_id, REPOSITORY, DIGEST)
    for number in outdated_cards:
        await work.enqueue_effects(repository_id, number, UpsertCard(number))
    if config and has_changed and not config.dry_run:
        await work.enqueue_effects(repository_id, 0, EnsureLabels(offered_labels(config)))
    log.info("config_synced", repository=full_name, present=text is not None, problems=problems)


async def _read_codeowners(github: GitHub, full_name: str) -> str:
    """Read the CODEOWNERS file from the first place GitHub looks in; a file that cannot be read names no owner."""
    for path in PATHS:
        try:
            raw = await github.get_content(full_name, path)
        except (Invalid, TooLarge):
            return ""
        if raw is not None:
            text = raw.decode("utf-8", "replace").replace("\x00", "\ufffd")  # Postgres keeps no NUL
            return text if len(text) <= MAX_TEXT_LENGTH else ""
    return ""


async def check_config_pull(
    work: UnitOfWorkFactory, github: GitHub, repository_id: int, full_name: str, pull: PullRequest
) -> None:
    """Say on a pull request that edits the configuration whether it would be taken.

    Also of a fork, and where no configuration is in force yet: the file is only read, at the head's SHA.
    """
    if pull.state != "open" or not any(
        file.filename == CONFIG_PATH for file in await github.list_pull_files(full_name, pull.number)
    ):
        return
    problems: tuple[Problem, ...] = ()
    try:
        raw = await github.get_content(full_name, CONFIG_PATH, ref=pull.head.sha)
        if raw is None:
            return  # it takes the file away: that is no mistake
        parse_repository_config(raw.decode("utf-8"), CONFIG_PATH)
    except (ConfigError, UnicodeDecodeError, Invalid, TooLarge) as error:
        problems = _problems_of_error(error)
    conclusion, title, summary, annotations = config_check(CONFIG_PATH, problems)
    check = CheckRun(pull.number, CONFIG_CHECK, pull.head.sha, conclusion, title, summary, annotations)
    await work.enqueue_effects(repository_id, pull.number, check)


def _problems_of_error(error: Exception) -> tuple[Problem, ...]:
    if isinstance(error, ConfigError):
        return error.problems
    reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return (Problem(1, 1, "", f"the file cannot be read: {reason}"),)
