"""The start of a bot whose database goes away at that very moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest
from sqlalchemy.exc import OperationalError

from adapters.github import GitHubClient
from engine.unit_of_work import UnitOfWorkFactory
from scheduler import startup
from scheduler.startup import RETRY_SECONDS, discover_with_retries


class Pauses:
    """A clock that only records the sleeps."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def _fails(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    left = list(errors)

    async def discover(work: UnitOfWorkFactory, client: GitHubClient) -> int:
        if left:
            raise left.pop(0)
        return 1

    monkeypatch.setattr(startup, "discover_repositories", discover)


async def test_startup_retries_when_the_database_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    away = OperationalError("INSERT", {}, Exception("terminating connection"))
    _fails(monkeypatch, away, away)
    clock = Pauses()
    await discover_with_retries(cast("UnitOfWorkFactory", None), cast("GitHubClient", None), clock)
    assert clock.slept == [RETRY_SECONDS, RETRY_SECONDS]


async def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    _fails(monkeypatch, KeyError("x"))
    with pytest.raises(KeyError):
        await discover_with_retries(cast("UnitOfWorkFactory", None), cast("GitHubClient", None), Pauses())
