"""Defines what a sender of an effect may use, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from adapters.agents import RepositoryContext, Services
from adapters.alerts import Channels
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.git import Mirror, MirrorPool
from adapters.github import GitHub
from core.audit.events import Event
from core.conflicts.pulls import ConflictReport
from core.effects.base import Effect
from core.retro.model import RetrospectiveOpened
from core.signals.base import Signal
from engine.card_state import CardStateCodec
from engine.forecasts import ForecastService


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are on GitHub."""

    app_id: int
    slug: str
    bot_id: int

    @property
    def login(self) -> str:
        """The login of our bot user."""
        return f"{self.slug}[bot]"


@dataclass(frozen=True, slots=True)
class SendContext:
    """What a sender may use, and what earlier sends under the same key left."""

    github: GitHub
    repository: RepositoryRow
    identity: Identity
    database: Database
    mirrors: MirrorPool
    services: Services
    codec: CardStateCodec
    key: str
    is_retry: bool  # an earlier send may have been done: look before doing it again
    remote_id: int | None  # of what an earlier send made
    content_hash: str | None  # of what was last written there
    created_at: datetime
    now: datetime
    forecasts: ForecastService | None = None
    alerts: Channels = field(default_factory=Channels)

    @property
    def full_name(self) -> str:
        """The repository as `owner/name`."""
        return self.repository.full_name

    @property
    def mirror(self) -> Mirror:
        """The local mirror of the repository."""
        return self.mirrors.get(self.repository.id, self.repository.full_name)

    @property
    def repository_context(self) -> RepositoryContext:
        """The repository as agents' adapters see it."""
        return repository_context(
            self.repository, self.github, self.identity, self.services, self.now, self.mirrors.server_url
        )


def repository_context(
    repository: RepositoryRow, github: GitHub, identity: Identity, services: Services, now: datetime, server_url: str
) -> RepositoryContext:
    """A repository as agents' adapters see it."""
    return RepositoryContext(
        github=github,
        repository=repository.full_name,
        default_branch=repository.default_branch,
        bot_id=identity.bot_id,
        services=services,
        now=now,
        bot_login=identity.login,
        server_url=server_url,
        repository_id=repository.id,
    )


@dataclass(frozen=True, slots=True)
class SendResult:
    """Reports an effect that was sent. The outbox applies its `signals` (issue number, signal) and its `report`."""

    remote_id: int | None = None
    content_hash: str | None = None
    conflict_report: tuple[tuple[int, Signal], ...] = ()
    report: ConflictReport | RetrospectiveOpened | None = None  # what the sender did, for the feature that asked
    events: tuple[Event, ...] = ()  # lines for the audit trail
    effects: tuple[Effect, ...] = ()  # what to send next

    @property
    def has_consequences(self) -> bool:
        """Whether anything follows from it; otherwise the outbox only marks it as done."""
        return bool(self.conflict_report or self.report or self.events or self.effects)
