"""One pass over GitHub's log of deliveries after the other: what is read, what is asked for, what is given up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from sqlalchemy import select

from adapters.database import redeliveries
from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.deliveries import StoredDelivery, store_deliveries
from adapters.database.jobs import JobQueue
from adapters.github.app import AppOperations
from adapters.github.errors import GitHubError, Invalid, NotFound, RateLimited, UnknownOutcome
from adapters.github.models import HookDelivery
from bot.jobs import is_handled
from engine.error_policy import FEW_ATTEMPTS
from engine.unit_of_work import UnitOfWorkFactory
from scheduler import redelivery
from scheduler.prune import DELIVERY_RETENTION, SERVICE_TARGET, prune_database
from scheduler.redelivery import (
    INTERVAL,
    MAX_ATTEMPTS,
    REDELIVER,
    RETRY_INTERVAL,
    backoff,
    request_redeliveries,
    retry_dead_webhooks,
)

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SIZE = 3  # deliveries on a page


@dataclass
class Log:
    """GitHub's log, newest first in pages of three, as the client gives it."""

    entries: list[HookDelivery] = field(default_factory=list)  # oldest first
    asked: list[int] = field(default_factory=list)
    pages: list[str | None] = field(default_factory=list)
    refuses: dict[int, GitHubError] = field(default_factory=dict)
    knows_cursors: bool = True

    def add(
        self,
        guid: str,
        at: datetime,
        code: int = 502,
        event: str = "issues",
        action: str = "opened",
        again: bool = False,
    ) -> None:
        status = "OK" if code < 300 else "failed to connect to host"
        self.entries.append(
            HookDelivery(
                id=len(self.entries) + 1,
                guid=guid,
                delivered_at=at,
                status=status,
                status_code=code,
                event=event,
                action=action,
                redelivery=again,
            )
        )

    async def list_hook_deliveries(self, cursor: str | None = None) -> tuple[list[HookDelivery], str | None]:
        self.pages.append(cursor)
        if cursor and not self.knows_cursors:
            raise Invalid("no such cursor", status=422)
        newest = [one for one in reversed(self.entries) if cursor is None or one.id < int(cursor)]
        return newest[:SIZE], str(newest[SIZE - 1].id) if len(newest) > SIZE else None

    async def redeliver(self, delivery_id: int) -> None:
        if delivery_id in self.refuses:
            raise self.refuses[delivery_id]
        self.asked.append(delivery_id)


@dataclass
class Desk:
    """The service's side."""

    database: Database
    jobs: JobQueue
    log: Log = field(default_factory=Log)
    now: datetime = NINE

    @property
    def work(self) -> UnitOfWorkFactory:
        return UnitOfWorkFactory(self.database, self.jobs, lambda: self.now)

    async def passes(self, **later: float) -> list[int]:
        """One pass, so much later; gives what was asked for."""
        self.now += timedelta(**later)
        before = len(self.log.asked)
        await request_redeliveries(self.work, cast(AppOperations, self.log), is_handled)
        return self.log.asked[before:]

    async def due(self) -> timedelta:
        """How long it is to the next pass."""
        async with self.database.autocommit() as connection:
            query = select(t.deadlines.c.due_at).where(
                t.deadlines.c.target_kind == SERVICE_TARGET.kind, t.deadlines.c.kind == REDELIVER
            )
            return cast(datetime, (await connection.execute(query)).scalar_one()) - self.now

    async def figures(self) -> dict[str, float]:
        async with self.database.autocommit() as connection:
            return await redeliveries.load_metrics(connection, self.now)


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    database, jobs = Database(database_url), JobQueue(database_url)
    async with jobs.app.open_async():
        yield Desk(database, jobs)
    await database.close()


def minutes_ago(minutes: float) -> datetime:
    return NINE - timedelta(minutes=minutes)


async def test_a_guid_is_asked_for_once_by_its_newest_attempt_and_never_when_one_attempt_arrived(desk: Desk) -> None:
    desk.log.add("arrived later", minutes_ago(30))
    desk.log.add("arrived at first", minutes_ago(29), 200)
    desk.log.add("tried twice", minutes_ago(28))
    desk.log.add("unheard", minutes_ago(27), action="pinned")
    desk.log.add("unknown", minutes_ago(26), event="star", action="created")
    desk.log.add("redirected", minutes_ago(25), 302)
    desk.log.add("tried twice", minutes_ago(20), 500, again=True)
    desk.log.add("here", minutes_ago(19), 504)
    desk.log.add("arrived later", minutes_ago(18), 202, again=True)
    desk.log.add("arrived at first", minutes_ago(17), again=True)
    delivery = StoredDelivery("here", "issues", "opened", 1, 1, b"{}", NINE)
    await store_deliveries(desk.database, [(delivery, "issue:1:1")])
    assert await desk.passes() == [6, 7]
    assert await desk.passes(minutes=2) == []
    figures = await desk.figures()
    assert (figures["deliveries_missing"], figures["redeliveries_asked"]) == (2, 2)
    desk.log.add("tried twice", desk.now, 202, again=True)
    await desk.passes(minutes=1)
    assert (await desk.figures())["deliveries_missing"] == 1


async def test_a_pass_reads_what_is_new_and_a_long_log_in_several(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "MAX_PAGES", 2)
    desk.log.add("too old", NINE - timedelta(days=3, minutes=1))
    for number in range(14):
        desk.log.add(f"lost {number}", NINE - timedelta(days=2, minutes=-10 * number), 500)
    seen: list[int] = []
    for expected in ([None, "13"], ["10", "7"], ["4"]):
        desk.log.pages.clear()
        seen += await desk.passes()
        assert desk.log.pages == expected
        assert await desk.due() == (INTERVAL if expected == ["4"] else RETRY_INTERVAL)
    assert sorted(seen) == list(range(2, 16)), "all but the one that GitHub no longer has"
    for number in range(4):
        desk.log.add(f"fine {number}", NINE, 202)
    desk.log.pages.clear()
    await desk.passes(minutes=2)
    assert desk.log.pages == [None, "17"], "no further than to where the last reading began"
    assert (await desk.figures())["delivery_log_behind_seconds"] == 0


async def test_a_place_that_github_has_forgotten_is_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "MAX_PAGES", 1)
    for number in range(5):
        desk.log.add(f"lost {number}", minutes_ago(60 - number))
    assert await desk.passes() == [3, 4, 5]
    desk.log.knows_cursors = False
    monkeypatch.setattr(redelivery, "MAX_PAGES", 2)
    desk.log.pages.clear()
    assert await desk.passes(minutes=1) == []
    assert desk.log.pages == ["3", None]
    desk.log.knows_cursors = True
    assert await desk.passes(minutes=1) == [1, 2]


async def test_hundreds_are_spread(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "BATCH_SIZE", 2)
    for number in range(5):
        desk.log.add(f"lost {number}", minutes_ago(60 - number))
    assert [await desk.passes(minutes=1), await desk.due()] == [[1, 2], RETRY_INTERVAL]
    assert [await desk.passes(minutes=1), await desk.due()] == [[3, 4], RETRY_INTERVAL]
    assert [await desk.passes(minutes=1), await desk.due()] == [[5], INTERVAL]


async def test_what_fails_again_and_again_waits_longer_and_is_given_up_and_tried_once_more_at_the_next_start(
    desk: Desk,
) -> None:
    desk.log.add("bad", minutes_ago(1), 401)
    assert await desk.passes() == [1]
    for tries in range(1, MAX_ATTEMPTS):
        desk.log.add("bad", desk.now, 401, again=True)
        pause = backoff(tries)
        assert await desk.passes(seconds=pause.total_seconds() - 1) == []
        assert await desk.passes(seconds=1) == [tries + 1]
    assert [backoff(tries) for tries in (1, 2, 3)] == [timedelta(minutes=m) for m in (4, 8, 16)]
    assert timedelta(days=1) < desk.now - NINE < timedelta(days=1, hours=6)
    assert await desk.passes(hours=5) == []
    figures = await desk.figures()
    assert (figures["deliveries_given_up"], figures["deliveries_missing"]) == (1, 0)
    async with desk.database.transaction() as connection:
        await retry_dead_webhooks(connection, desk.now)
    assert len(await desk.passes()) == 1
    assert await desk.passes(hours=5) == []
    assert (await desk.figures())["deliveries_given_up"] == 1
    desk.now += DELIVERY_RETENTION
    await prune_database(desk.work)
    assert (await desk.figures())["deliveries_given_up"] == 0


async def test_one_that_is_not_there_may_come_yet_so_it_is_asked_for_a_few_times(desk: Desk) -> None:
    desk.log.add("lost", minutes_ago(60))
    desk.log.refuses = {1: NotFound("not there", status=404)}
    for _ in range(FEW_ATTEMPTS):
        assert (await desk.figures())["deliveries_given_up"] == 0
        await desk.passes(hours=1)
    assert (await desk.figures())["deliveries_given_up"] == 1


async def test_what_github_answers_when_it_is_asked(desk: Desk) -> None:
    for number in range(4):
        desk.log.add(f"lost {number}", minutes_ago(60 - number))
    until = NINE + timedelta(minutes=7)
    limit = RateLimited("slowly", retry_at=until, secondary=True, status=403, request_id="")
    desk.log.refuses = {1: Invalid("too old", status=422), 2: UnknownOutcome("broken", status=502), 3: limit}
    assert await desk.passes() == []
    assert await desk.due() == timedelta(minutes=7)
    assert (await desk.figures())["deliveries_given_up"] == 1
    desk.log.refuses = {}
    assert await desk.passes(minutes=7) == [2, 3, 4], "what was refused by a limit was not counted, what is unclear was"
    async with desk.database.autocommit() as connection:
        counts = await connection.execute(select(t.undelivered_webhooks.c.guid, t.undelivered_webhooks.c.attempts))
    assert dict(counts.all()) == {"lost 0": 1, "lost 1": 2, "lost 2": 1, "lost 3": 1}
