"""A repository's own configuration: read from its default branch, checked, and the last good one kept in force."""

from __future__ import annotations

import hashlib

import structlog

from adapters.database import repositories, store
from adapters.github import GitHub
from adapters.github.errors import GitHubError, Invalid, TooLarge
from adapters.unit_of_work import Work
from config.problems import ConfigError
from config.repository import CONFIG_PATH, RepositoryConfig, parse_repository_config
from core.effects import MakeLabels
from core.labels import labels_for

log = structlog.get_logger()

REPOSITORY = "repository"  # the subject of a repository's own deadlines
RECONCILE = "reconcile"


async def read_configuration(work: Work, github: GitHub, repository_id: int, full_name: str) -> None:
    """Read the configuration anew. A bad one changes nothing but the list of problems; a missing one means observe.

    What a new configuration means for the repository's issues, the reconciler finds out; it is made due at once.
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
    except ConfigError as error:
        problems = [str(problem) for problem in error.problems]
    except (UnicodeDecodeError, Invalid, TooLarge) as error:
        problems = [f"{CONFIG_PATH} cannot be read: {error}"]
    except GitHubError:
        log.warning("configuration_unreadable", repository=full_name)
        raise
    now = work.now()
    values: dict[str, object] = {"config_problems": problems, "config_read_at": now}
    digest = hashlib.sha256((text or "").encode()).hexdigest()
    if not problems:
        values |= {"config": text, "config_sha": digest}
    async with work.database.transaction() as connection:
        before = await repositories.config_sha(connection, repository_id)
        await repositories.update_repository(connection, repository_id, **values)
        changed = config is not None and before != digest
        if changed:
            await store.set_deadline(connection, repository_id, REPOSITORY, RECONCILE, now)
    if config and changed and not config.dry_run:
        await work.send(repository_id, 0, MakeLabels(labels_for(config)))
    log.info("configuration_read", repository=full_name, present=text is not None, problems=problems)
