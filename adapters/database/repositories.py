"""Repositories and installations, on a connection that the caller's transaction owns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from config.agent_kinds import AgentSpec
from config.agents import load_default_agents
from config.repository import RepositoryConfig, parse_repository_config
from config.task_templates import TemplateFile
from config.team import AgentOverride, Team


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository we are installed in. `config` is None while it has none: we only observe then.

    The agents of `config` are those of the `team` that take part, with what people changed while the bot runs.
    """

    id: int
    installation_id: int
    full_name: str
    default_branch: str
    active: bool
    config: RepositoryConfig | None
    problems: tuple[str, ...] = ()  # of the configuration as it stands now; the last good one stays in force
    team: Team = field(default_factory=Team)
    codeowners: str = ""  # the file, raw
    restored_up_to_issue: int = 0  # issues and pull requests up to this number were restored from GitHub
    policy_fingerprint: str = ""  # of the rules by which every task was last reconciled

    def agent(self, name: str) -> AgentSpec | None:
        """The settings of an agent, also of one that was removed while the bot runs: it may have tasks in hand."""
        return self.team.all_agents.get(name)


@lru_cache(maxsize=256)
def _parse(text: str) -> tuple[RepositoryConfig, Team]:
    """The configuration, and the team by the files alone."""
    config = parse_repository_config(text)
    # The service's own agents stand beside the repository's; a repository's agent of the same name wins.
    service = load_default_agents()
    return config, Team({**service, **config.agents}, frozenset(service.keys() - config.agents.keys()))


# What people changed of the repository's agents while the bot runs comes along: it is a part of who the agents are, and
# hardly anything is read as often as this.
_TEAM_CHANGES = (
    select(
        func.json_agg(
            aggregate_order_by(
                func.json_build_array(
                    *(t.agents.c[name] for name in ("name", "settings", "status", "changed_by", "changed_at"))
                ),
                t.agents.c.name,
            )
        )
    )
    .where(t.agents.c.repository_id == t.repositories.c.id, t.agents.c.changed_at.is_not(None))
    .scalar_subquery()
    .label("team_changes")
)
REPOSITORY_COLUMNS = (*t.repositories.c, _TEAM_CHANGES)
"""What `row_of` wants of a repository, for statements that read it together with something else."""
_SELECT_BY_ID = select(*REPOSITORY_COLUMNS).where(t.repositories.c.id == bindparam("id"))
_SELECT_LOCKED = _SELECT_BY_ID.with_for_update(of=t.repositories)


async def load_repository(
    connection: AsyncConnection, repository_id: int, *, lock: bool = False
) -> RepositoryRow | None:
    """One repository; with `lock` its row is ours until the transaction ends."""
    row = (
        (await connection.execute(_SELECT_LOCKED if lock else _SELECT_BY_ID, {"id": repository_id})).mappings().first()
    )
    return repository_from_row(row) if row is not None else None


def repository_from_row(row: RowMapping) -> RepositoryRow:
    """The repository in a row that has `COLUMNS`."""
    c = t.repositories.c
    config, team = _parse(row[c.config]) if row[c.config] else (None, Team())
    if config is not None:
        if changes := {
            name: AgentOverride(changed_by or "", datetime.fromisoformat(changed_at), settings or {}, status)
            for name, settings, status, changed_by, changed_at in row[_TEAM_CHANGES] or ()
        }:
            team = replace(team, overrides=changes)
        config = config.model_copy(update={"agents": team.agents})
    return RepositoryRow(
        id=row[c.id],
        installation_id=row[c.installation_id],
        full_name=row[c.full_name],
        default_branch=row[c.default_branch],
        active=row[c.active],
        config=config,
        problems=tuple(row[c.config_problems]),
        team=team,
        codeowners=row[c.codeowners],
        restored_up_to_issue=row[c.restored_up_to_issue],
        policy_fingerprint=row[c.policy_fingerprint],
    )


async def save_team_change(connection: AsyncConnection, repository_id: int, name: str, change: AgentOverride) -> None:
    """Keep what a person changed of an agent, instead of what was changed before."""
    values = {
        "settings": dict(change.settings) or None,
        "status": change.status,
        "changed_by": change.changed_by,
        "changed_at": change.changed_at,
    }
    statement = insert(t.agents).values(repository_id=repository_id, name=name, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["repository_id", "name"], set_=values))


async def find_by_name(connection: AsyncConnection, full_name: str) -> RepositoryRow | None:
    """The repository of this name (GitHub does not tell capitals apart) in which we are installed."""
    query = select(t.repositories.c.id).where(
        func.lower(t.repositories.c.full_name) == full_name.lower(), t.repositories.c.active
    )
    repository_id = (await connection.execute(query.order_by(t.repositories.c.id.desc()).limit(1))).scalar_one_or_none()
    return await load_repository(connection, repository_id) if repository_id is not None else None


async def list_all(connection: AsyncConnection) -> list[tuple[int, str]]:
    """Every repository that was ever seen, by name: its id and its name."""
    rows = await connection.execute(select(t.repositories.c.id, t.repositories.c.full_name))
    return sorted(((row.id, row.full_name) for row in rows), key=lambda item: item[1])


async def list_configured(connection: AsyncConnection) -> list[RepositoryRow]:
    """The repositories in which we do more than observe, by name."""
    query = select(t.repositories.c.id).where(t.repositories.c.active, t.repositories.c.config.is_not(None))
    ids = (await connection.execute(query.order_by(t.repositories.c.full_name))).scalars().all()
    rows = [await load_repository(connection, repository_id) for repository_id in ids]
    return [row for row in rows if row is not None]


async def save_policy_fingerprint(
    connection: AsyncConnection, repository_id: int, fingerprint: str, expected_config_sha: str | None
) -> None:
    """Every task was looked at by these rules; not if the configuration is no more the one with this `config_sha`."""
    where = (t.repositories.c.id == repository_id, t.repositories.c.config_sha == expected_config_sha)
    await connection.execute(update(t.repositories).where(*where).values(policy_fingerprint=fingerprint))


async def save_repository(connection: AsyncConnection, repository_id: int, **values: Any) -> None:
    """Insert or update a repository; only the named columns change."""
    statement = insert(t.repositories).values(id=repository_id, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


async def deactivate_installation(connection: AsyncConnection, installation_id: int) -> None:
    """The App was removed: its repositories are no longer ours to touch."""
    await connection.execute(
        update(t.repositories).where(t.repositories.c.installation_id == installation_id).values(active=False)
    )


async def known_labels(connection: AsyncConnection, repository_id: int) -> frozenset[str]:
    """The labels that were made for people to put on; one that was deleted since is still among them."""
    query = select(t.repositories.c.known_labels).where(t.repositories.c.id == repository_id)
    return frozenset((await connection.execute(query)).scalar_one_or_none() or ())


async def add_known_labels(connection: AsyncConnection, repository_id: int, labels: Iterable[str]) -> None:
    """These labels were made for people, too."""
    existing = await known_labels(connection, repository_id)
    await connection.execute(
        update(t.repositories)
        .where(t.repositories.c.id == repository_id)
        .values(known_labels=sorted({*existing, *labels}))
    )


async def config_sha(connection: AsyncConnection, repository_id: int) -> str | None:
    """The digest of the configuration in force."""
    query = select(t.repositories.c.config_sha).where(t.repositories.c.id == repository_id)
    return (await connection.execute(query)).scalar_one_or_none()


async def config_read_at(connection: AsyncConnection, repository_id: int) -> datetime | None:
    """When the configuration was last read from GitHub."""
    query = select(t.repositories.c.config_read_at).where(t.repositories.c.id == repository_id)
    read_at: datetime | None = (await connection.execute(query)).scalar_one_or_none()
    return read_at


async def template_files(connection: AsyncConnection, repository_id: int) -> tuple[TemplateFile, ...]:
    """The repository's own task templates, as they were last read."""
    query = select(t.repositories.c.templates).where(t.repositories.c.id == repository_id)
    return tuple(TemplateFile(**file) for file in (await connection.execute(query)).scalar_one_or_none() or ())


async def update_repository(connection: AsyncConnection, repository_id: int, **values: Any) -> None:
    """Change the named columns of a repository that is there."""
    await connection.execute(update(t.repositories).where(t.repositories.c.id == repository_id).values(**values))
