"""One effect on its way into the world: what the senders are given, and what they give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.agents import RepositoryContext, Services
from adapters.alerts import Channels
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.git import Git, Matrix, Mirror
from adapters.github import GitHub
from core.audit.events import Event
from core.conflicts.pulls import ConflictReport
from core.effects.base import Effect
from core.signals.base import Signal
from engine.card_state import CardStateCodec

if TYPE_CHECKING:
    from engine.forecasts import ForecastService
    from engine.retrospectives import Opened


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


@dataclass(slots=True)
class MirrorPool:
    """The local mirrors, one per repository, made when first needed."""

    data_dir: Path
    server_url: str
    git: Git
    matrix: Matrix = field(default_factory=Matrix)
    _known: dict[str, Mirror] = field(default_factory=dict)

    def of(self, repository: RepositoryRow) -> Mirror:
        """The mirror of this repository at its present address."""
        url = f"{self.server_url.rstrip('/')}/{repository.full_name}.git"
        if url not in self._known:
            self._known[url] = Mirror(self.data_dir, repository.id, url, self.git)
        return self._known[url]


@dataclass(frozen=True, slots=True)
class SendContext:
    """What a sender may use, and what is known of earlier sends under the same key."""

    github: GitHub
    repository: RepositoryRow
    identity: Identity
    database: Database
    mirrors: MirrorPool
    services: Services
    seal: CardStateCodec
    key: str
    again: bool  # an earlier send may have been done: look before doing it again
    remote_id: int | None  # of what an earlier send made
    digest: str | None  # of what was last written there
    created_at: datetime
    now: datetime
    foresight: ForecastService | None = None
    alerts: Channels = field(default_factory=Channels)

    @property
    def name(self) -> str:
        """The repository as `owner/name`."""
        return self.repository.full_name

    @property
    def site(self) -> RepositoryContext:
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
    """The effect is in the world. `signals` (issue number, signal) go back in by the same door as everything else."""

    remote_id: int | None = None
    digest: str | None = None
    signals: tuple[tuple[int, Signal], ...] = ()
    found: ConflictReport | None = None  # of open pull requests; it is told to all whom it concerns
    opened: Opened | None = None  # an issue for a retrospective
    events: tuple[Event, ...] = ()  # lines for the audit trail
    effects: tuple[Effect, ...] = ()  # what else is wanted now that this is there

    @property
    def has_consequences(self) -> bool:
        """Whether anything follows from it; otherwise it is only marked as done."""
        return bool(self.signals or self.found or self.opened or self.events or self.effects)
