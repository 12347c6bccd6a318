"""What every handler has at hand, and the delivery it handles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from adapters.database import repositories
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub, GitHubClient
from adapters.github.models import Repository, User
from engine.agent_health import Probes
from engine.config_sync import read_configuration
from engine.senders import Identity
from engine.unit_of_work import Work
from handlers.event_filter import ECHOED, is_news


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook delivery, verified and stored."""

    guid: str
    event: str
    action: str | None
    payload: dict[str, Any]
    received_at: datetime
    repository: RepositoryRow | None = None  # as it was when the delivery was loaded, if we know it


@dataclass(frozen=True, slots=True)
class Desk:
    """The tools of the handlers, and what a delivery's repository is to us."""

    work: Work
    client: GitHubClient
    identity: Callable[[int], Awaitable[Identity]]
    probes: Probes
    answers: tuple[SecretStr, ...] = ()  # by which answers of runs are known

    async def repository(self, delivery: Delivery) -> RepositoryRow | None:
        """The repository of the delivery, known and up to date; None where we are not installed or it is archived.

        A repository is learnt from any delivery that names it, not only from those about installations: theirs may
        have been lost.
        """
        payload = delivery.payload
        if "repository" not in payload or not payload.get("installation"):
            return None
        told = Repository.model_validate(payload["repository"])
        installation_id = int(payload["installation"]["id"])
        now = (installation_id, told.full_name, told.default_branch, True)
        known = delivery.repository
        if known is not None and (known.id, now) == (
            told.id,
            (known.installation_id, known.full_name, known.default_branch, known.active),
        ):
            return None if told.archived else known
        async with self.work.database.autocommit() as connection:
            known = await repositories.repository(connection, told.id)
            await repositories.save_repository(
                connection,
                told.id,
                installation_id=installation_id,
                full_name=told.full_name,
                default_branch=told.default_branch,
                active=True,
            )
        if known is None:
            await read_configuration(self.work, self.client.installation(installation_id), told.id, told.full_name)
        async with self.work.database.autocommit() as connection:
            row = await repositories.repository(connection, told.id)
        return None if told.archived else row

    def github(self, repository: RepositoryRow) -> GitHub:
        """GitHub as our installation there sees it."""
        return self.client.installation(repository.installation_id)

    async def is_us(self, repository: RepositoryRow, user: User | None) -> bool:
        """Whether this is our own bot user, by its numeric id."""
        identity = await self.identity(repository.installation_id)
        return user is not None and user.id == identity.bot_id

    async def is_news(self, delivery: Delivery) -> bool:
        """Whether a handler should see the delivery; asked before anything is read, because most are none."""
        installation = delivery.payload.get("installation")
        us = await self.identity(int(installation["id"])) if installation and delivery.event in ECHOED else None
        return is_news(delivery.event, delivery.payload, us)
