"""Jobs survive their workers: the queue under death, shutdown and disorder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from adapters.database import store
from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.deliveries import (
    LARGE_PAYLOAD_BYTES,
    StoredDelivery,
    load_payload,
    next_delivery,
    store_deliveries,
)
from adapters.database.jobs import DELIVERY, DUE, MAIN, JobQueue
from bot.jobs import drain_queue, run_worker
from core.task.deadlines import Deadline, DeadlineKind, task_target
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.downtime import extend_deadlines_after_downtime
from scheduler.prune import DELIVERY_RETENTION, prune_database
from scheduler.sweep import BATCH_SIZE, sweep
from scheduler.timer import WORKER_TIMEOUT_SECONDS, retry_stalled_jobs

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Office:
    """A queue whose only job writes down what it was asked."""

    database: Database
    jobs: JobQueue
    work: UnitOfWorkFactory
    asked: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    before: Callable[[str], Awaitable[None]] | None = None

    async def ask(self, guid: str, lock: str = "issue:1:1") -> bool:
        at = NINE + timedelta(microseconds=len(self.asked))
        self.asked.append(guid)
        delivery = StoredDelivery(guid, "issues", "opened", 1, 1, b"{}", at)
        return bool(await store_deliveries(self.database, [(delivery, lock)]))

    async def states(self) -> list[str]:
        async with self.database.transaction() as connection:
            found = await connection.execute(text("SELECT status::text FROM procrastinate_jobs ORDER BY id"))
            return list(found.scalars())


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    database, jobs = Database(database_url), JobQueue(database_url)
    async with jobs.app.open_async():
        it = Office(database, jobs, UnitOfWorkFactory(database, jobs, lambda: NINE))

        @jobs.app.task(name=DELIVERY)
        async def delivery(key: str) -> None:
            handled = None
            while True:
                async with database.autocommit() as connection:
                    stored = await next_delivery(connection, key, handled, NINE)
                if stored is None:
                    return
                if it.before:
                    await it.before(stored.guid)
                it.done.append(handled := stored.guid)

        @jobs.app.task(name=DUE)
        async def due(
            repository_id: int, target_kind: str, target_id: str, kind: str, attempt: int, payload: dict[str, Any]
        ) -> None:
            it.done.append(f"{target_kind} {target_id} {kind} {attempt}")

        yield it
    await database.close()


async def test_a_delivery_and_its_job_are_kept_together_and_once(office: Office) -> None:
    assert await office.ask("a")
    assert not await office.ask("a")
    await drain_queue(office.jobs, 4)
    assert office.done == ["a"]


async def test_jobs_of_one_issue_run_in_order_whatever_the_number_of_workers(office: Office) -> None:
    async def slow_at_first(guid: str) -> None:
        for _ in range(20 - int(guid)):
            await asyncio.sleep(0)

    office.before = slow_at_first
    for number in range(20):
        await office.ask(str(number))
    for _ in range(25):
        await drain_queue(office.jobs, 8)
    assert office.done == [str(number) for number in range(20)]


async def test_a_dead_workers_job_goes_on_elsewhere(office: Office) -> None:
    await office.ask("a")
    manager = office.jobs.app.job_manager
    dead = await manager.register_worker()
    assert await manager.fetch_job(queues=None, worker_id=dead) is not None
    assert await retry_stalled_jobs(office.jobs) == 0, "its worker was alive a moment ago"

    async with office.database.transaction() as connection:
        ago = timedelta(seconds=WORKER_TIMEOUT_SECONDS + 1)
        await connection.execute(
            text("UPDATE procrastinate_workers SET last_heartbeat = now() - CAST(:ago AS interval) WHERE id = :id"),
            {"ago": ago, "id": dead},
        )
    assert await retry_stalled_jobs(office.jobs) == 1
    await drain_queue(office.jobs, 1)
    assert office.done == ["a"]


async def test_a_shutdown_finishes_what_is_in_hand(office: Office) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def wait(guid: str) -> None:
        started.set()
        await go_on.wait()

    office.before = wait
    await office.ask("a")
    worker = asyncio.create_task(run_worker(office.jobs, {(MAIN,): 1}))
    await started.wait()
    worker.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert office.done == ["a"]
    assert await office.states() == []


async def test_a_shutdown_gives_back_what_takes_too_long(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.jobs.SHUTDOWN_SECONDS", 0.05)
    started = asyncio.Event()

    async def for_ever(guid: str) -> None:
        started.set()
        await asyncio.Event().wait()

    office.before = for_ever
    await office.ask("a")
    worker = asyncio.create_task(run_worker(office.jobs, {(MAIN,): 1}))
    await started.wait()
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert office.done == []
    assert await office.states() == ["todo"]


async def test_every_due_deadline_becomes_one_job_and_the_others_stay(office: Office) -> None:
    async with office.database.transaction() as connection:
        for number in range(BATCH_SIZE + 5):
            await store.set_deadline(connection, 1, task_target(number), "ack", NINE - timedelta(seconds=1), 3)
        await store.set_deadline(connection, 1, task_target(9999), "ack", NINE + timedelta(seconds=1), 1)
    taken = await asyncio.gather(sweep(office.work), sweep(office.work))
    assert sum(taken) == BATCH_SIZE + 5
    await drain_queue(office.jobs, 8)
    assert sorted(office.done) == sorted(f"task {n} ack 3" for n in range(BATCH_SIZE + 5))
    async with office.database.transaction() as connection:
        assert list((await connection.execute(select(t.deadlines.c.target_id))).scalars()) == ["9999"]


async def test_deliveries_that_were_handled_long_ago_go(office: Office) -> None:
    for guid in ("old", "new", "open"):
        await office.ask(guid)
    async with office.database.transaction() as connection:
        for guid, age in (("old", DELIVERY_RETENTION + timedelta(days=1)), ("new", timedelta(days=1))):
            await connection.execute(
                t.deliveries.update().where(t.deliveries.c.guid == guid).values(handled_at=NINE - age)
            )
    assert await prune_database(office.work) == 1
    async with office.database.transaction() as connection:
        assert sorted((await connection.execute(select(t.deliveries.c.guid))).scalars()) == ["new", "open"]


async def test_a_large_payload_comes_as_it_was_and_its_connection_goes(office: Office) -> None:
    payload = bytes(range(256)) * 5000
    large = StoredDelivery("large", "push", None, 1, 1, payload, NINE)
    assert await store_deliveries(office.database, [(large, "issue:1:1")])
    async with office.database.autocommit() as connection:
        stored = await next_delivery(connection, "issue:1:1", None, NINE, LARGE_PAYLOAD_BYTES)
        whole = await next_delivery(connection, "issue:1:1", None, NINE)
    assert stored is not None
    assert whole is not None
    assert (stored.payload, whole.payload) == (b"", payload)
    assert await load_payload(office.database, "large") == payload


async def test_a_deadline_set_in_the_past_does_not_look_like_downtime(office: Office) -> None:
    """As after an operator shortens the time-outs: nothing was missed."""
    long_over = Deadline(DeadlineKind.STALL, NINE - timedelta(days=1), 0)
    async with office.database.transaction() as connection:
        await store.replace_deadlines(connection, 1, task_target(7), [long_over], NINE)
    assert await extend_deadlines_after_downtime(office.work) == 0
    assert await sweep(office.work) == 1


async def test_what_was_put_off_stays_put_off_when_the_task_changes(office: Office) -> None:
    over = Deadline(DeadlineKind.STALL, NINE - timedelta(hours=1), 0)
    async with office.database.transaction() as connection:
        await store.set_deadline(connection, 1, task_target(7), "stall", over.due_at)
    assert await extend_deadlines_after_downtime(office.work) == 1
    async with office.database.transaction() as connection:
        await store.replace_deadlines(connection, 1, task_target(7), [over], NINE)
    assert await sweep(office.work) == 0
    async with office.database.transaction() as connection:
        again = Deadline(DeadlineKind.STALL, NINE - timedelta(hours=1), 1)  # of another attempt
        await store.replace_deadlines(connection, 1, task_target(7), [again], NINE)
    assert await sweep(office.work) == 1
