"""Group commit: what comes together is kept together, answered after it, and each bears its own failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from adapters.database.database import Database
from adapters.database.deliveries import LARGE_PAYLOAD_BYTES, StoredDelivery, store_deliveries
from bot.http import delivery_writer
from bot.http.admission import AdmissionControl, AdmissionLimits
from bot.http.delivery_writer import MAX_BATCH_SIZE, DeliveryWriter

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def one(guid: str, action: str = "opened", payload: bytes = b"{}", at: int = 0) -> tuple[StoredDelivery, str]:
    received_at = NOW + timedelta(microseconds=at)
    return StoredDelivery(guid, "issues", action, 1, 1, payload, received_at), f"issue:1:{guid}"


class Desk:
    """A keeper on a real database; the sizes of its groups are written down."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.keeper = DeliveryWriter(database, AdmissionControl(AdmissionLimits()))
        self.groups: list[int] = []

        async def counted(database: Database, told: Sequence[tuple[StoredDelivery, str]]) -> set[str]:
            self.groups.append(len(told))
            return await store_deliveries(database, told)

        monkeypatch.setattr(delivery_writer, "store_deliveries", counted)

    async def kept(self) -> list[tuple[str, str]]:
        """Each delivery with the lock of its job, in the order of the jobs."""
        query = text(
            "SELECT guid, lock FROM deliveries JOIN procrastinate_jobs j ON args->>'key' = ordering_key ORDER BY j.id"
        )
        async with self.database.autocommit() as connection:
            return [(guid, lock) for guid, lock in await connection.execute(query)]


@asynccontextmanager
async def opened(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    database = Database(url)
    yield Desk(database, monkeypatch)
    await database.close()


@pytest.fixture
async def desk(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    async with opened(database_url, monkeypatch) as it:
        yield it


async def test_what_comes_while_one_is_committed_is_committed_together_in_order(desk: Desk) -> None:
    names = [f"guid-{number:03}" for number in range(MAX_BATCH_SIZE + 20)][::-1]
    answers = await asyncio.gather(*(desk.keeper.write(*one(name, at=at)) for at, name in enumerate(names)))
    assert answers == [True] * len(names)
    assert len(desk.groups) <= 3
    assert sum(desk.groups) == len(names)
    assert max(desk.groups) == MAX_BATCH_SIZE
    assert await desk.kept() == [(name, f"issue:1:{name}") for name in names]


async def test_a_guid_is_new_once_in_a_group_and_ever(desk: Desk) -> None:
    assert await asyncio.gather(*(desk.keeper.write(*one("twice")) for _ in range(3))) == [True, False, False]
    assert await desk.keeper.write(*one("twice")) is False
    assert len(await desk.kept()) == 1


async def test_one_that_cannot_be_kept_fails_alone(desk: Desk) -> None:
    told = [one("good"), one("bad", action="\x00"), one("better")]
    good, bad, better = await asyncio.gather(*(desk.keeper.write(*each) for each in told), return_exceptions=True)
    assert (good, better) == (True, True)
    assert isinstance(bad, DBAPIError)
    assert [guid for guid, _ in await desk.kept()] == ["good", "better"]


async def test_a_large_one_goes_its_own_way(desk: Desk) -> None:
    told = [one("small"), one("large", payload=b"x" * (LARGE_PAYLOAD_BYTES + 1)), one("other")]
    assert await asyncio.gather(*(desk.keeper.write(*each) for each in told)) == [True] * 3
    assert sorted(desk.groups) == [1, 2]
    assert await desk.keeper.write(*one("large", payload=b"x" * (LARGE_PAYLOAD_BYTES + 1))) is False


async def test_a_cancelled_request_does_not_affect_the_others_of_its_batch(desk: Desk) -> None:
    gone, there = (asyncio.create_task(desk.keeper.write(*one(name))) for name in ("gone", "there"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await there is True
    assert [guid for guid, _ in await desk.kept()] == ["gone", "there"]
