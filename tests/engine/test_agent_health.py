"""Asking what keeps agents from being started: kept for a while, and never waited for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from adapters.agents import CannotStart
from adapters.database import agents as kept
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.github.errors import Transient
from config.agent_kinds import PullAgent
from config.team import Team
from core.assignment.agent_state import HealthResult
from core.circuit_breaker import CircuitBreaker
from engine.agent_health import CACHE_PERIOD, HealthChecks
from engine.senders import Identity
from tests.builders import NO_SERVICES, NOW

ADA, BOB, CLEO = (PullAgent(adapter="pull", max_tasks=n) for n in (1, 2, 3))


@dataclass
class Adapter:
    """Answers as it is told; what is not there never answers."""

    says: dict[int, tuple[str, ...] | Exception] = field(default_factory=dict)
    asked: int = 0

    async def probe(self, site: Any, spec: PullAgent) -> tuple[str, ...]:
        self.asked += 1
        assert (site.repository, site.bot_login) == ("acme/shop", "us[bot]")
        answer = self.says.get(spec.max_tasks)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer or ()


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    it = Adapter()
    monkeypatch.setattr("engine.agent_health.ADAPTERS", {"pull": it})
    return it


@pytest.fixture
async def probes(database_url: str) -> AsyncIterator[HealthChecks]:
    async def identity(_: int) -> Identity:
        return Identity(1, "us", 2)

    database = Database(database_url)
    client = type("Client", (), {"installation": lambda self, number: None})()
    yield HealthChecks(
        cast(Any, client), database, NO_SERVICES, identity, "https://github.com", lambda: NOW, timeout_seconds=0.05
    )
    await database.close()


def shop(**agents: PullAgent) -> RepositoryRow:
    return RepositoryRow(42, 1, "acme/shop", "main", True, None, team=Team(agents))


async def test_a_slow_agent_is_skipped_and_delays_no_other(probes: HealthChecks, adapter: Adapter) -> None:
    adapter.says = {1: ("no key",), 3: ()}
    assert await probes.check_all(shop(ada=ADA, bob=BOB, cleo=CLEO)) == {
        "ada": HealthResult(("no key",), NOW),
        "cleo": HealthResult((), NOW),
    }


async def test_an_answer_is_shown_again_until_it_is_old_or_the_agent_is_another(
    probes: HealthChecks, adapter: Adapter
) -> None:
    adapter.says = {1: ("no key",), 2: ()}
    for _ in range(2):
        assert (await probes.check_all(shop(ada=ADA)))["ada"].problems == ("no key",)
    assert adapter.asked == 1
    assert (await probes.check_all(shop(ada=BOB)))["ada"].problems == (), "its settings were changed"
    later = NOW + CACHE_PERIOD
    probes.now = lambda: later
    adapter.says[2] = ("gone",)
    assert await probes.check_all(shop(ada=BOB)) == {"ada": HealthResult(("gone",), later)}


async def test_who_no_longer_answers_is_shown_as_it_was(probes: HealthChecks, adapter: Adapter) -> None:
    adapter.says = {1: ("no key",)}
    await probes.check_all(shop(ada=ADA))
    adapter.says.clear()
    probes.now = lambda: NOW + CACHE_PERIOD + timedelta(minutes=1)
    assert await probes.check_all(shop(ada=ADA)) == {"ada": HealthResult(("no key",), NOW)}


async def test_errors_say_nothing_and_refusals_do(probes: HealthChecks, adapter: Adapter) -> None:
    adapter.says = {1: CannotStart("It needs a key."), 2: Transient("502"), 3: ConnectionError("no answer")}
    assert await probes.check_all(shop(ada=ADA, bob=BOB, cleo=CLEO)) == {"ada": HealthResult(("It needs a key.",), NOW)}


async def test_a_service_that_is_left_alone_is_not_asked(probes: HealthChecks, adapter: Adapter) -> None:
    circuit = CircuitBreaker("pull", 5, NOW, NOW + timedelta(minutes=1), reason="502")
    async with probes.database.transaction() as connection:
        await kept.save_circuit(connection, circuit)
    assert await probes.check_all(shop(ada=ADA)) == {}
    assert adapter.asked == 0
