"""Defines what every handler can use, and the delivery it handles."""

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
from core.commands.stranger_budget import StrangerLimits
from engine.agent_health import HealthChecks
from engine.config_sync import sync_config
from engine.forecasts import ForecastService
from engine.senders import Identity
from engine.unit_of_work import UnitOfWorkFactory
from handlers.event_filter import ECHOED_EVENTS, is_relevant


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook delivery, verified and stored."""

    guid: str
    event: str
    action: str | None
    payload: dict[str, Any]
    received_at: datetime
    repository: RepositoryRow | None = None  # when the delivery was loaded, if known


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """The services that handlers use, and facts about the delivery's repository."""

    work: UnitOfWorkFactory
    client: GitHubClient
    identity: Callable[[int], Awaitable[Identity]]
    health_checks: HealthChecks
    forecasts: ForecastService | None
    result_secrets: tuple[SecretStr, ...]  # by which results of runs are authenticated
    stranger_limits: StrangerLimits

    async def repository(self, delivery: Delivery) -> RepositoryRow | None:
        """The delivery's repository, up to date; None if the App is not installed there or it is archived.

        Any delivery that names a repository registers it, not only installation events, which may be lost.
        """
        payload = delivery.payload
        if "repository" not in payload or not payload.get("installation"):
            return None
        payload_repository = Repository.model_validate(payload["repository"])
        installation_id = int(payload["installation"]["id"])
        current = (installation_id, payload_repository.full_name, payload_repository.default_branch, True)
        stored = delivery.repository
        if stored is not None and (stored.id, current) == (
            payload_repository.id,
            (stored.installation_id, stored.full_name, stored.default_branch, stored.active),
        ):
            return None if payload_repository.archived else stored
        async with self.work.database.autocommit() as connection:
            stored = await repositories.load_repository(connection, payload_repository.id)
            await repositories.save_repository(
                connection,
                payload_repository.id,
                installation_id=installation_id,
                full_name=payload_repository.full_name,
                default_branch=payload_repository.default_branch,
                active=True,
            )
        if stored is None:
            await sync_config(
                self.work,
                self.client.installation(installation_id),
                payload_repository.id,
                payload_repository.full_name,
            )
        async with self.work.database.autocommit() as connection:
            row = await repositories.load_repository(connection, payload_repository.id)
        return None if payload_repository.archived else row

    def github(self, repository: RepositoryRow) -> GitHub:
        """A GitHub client of the installation of that repository."""
        return self.client.installation(repository.installation_id)

    async def is_own_user(self, repository: RepositoryRow, user: User | None) -> bool:
        """Whether this is the bot's own user, by its numeric id."""
        identity = await self.identity(repository.installation_id)
        return user is not None and user.id == identity.bot_id

    async def is_relevant(self, delivery: Delivery) -> bool:
        """Whether a handler should process the delivery; checked before anything is read, because most deliveries are
        irrelevant.
        """
        installation = delivery.payload.get("installation")
        identity = (
            await self.identity(int(installation["id"])) if installation and delivery.event in ECHOED_EVENTS else None
        )
        return is_relevant(delivery.event, delivery.payload, identity)
