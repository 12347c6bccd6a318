"""The worker: woken by PostgreSQL, never polling, finishing a job and fetching the next in one statement."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import event, text

from adapters.database import worker as module
from adapters.database.database import Database
from adapters.database.job_tables import NEXT_JOB
from adapters.database.jobs import ALERTS, GIT, MAIN, JobQueue, JobRequest, send_job
from adapters.database.worker import Worker

PATIENCE = 60.0  # seconds that a test waits for what should happen at once


@dataclass
class Shop:
    """A queue whose jobs write down that they ran, and wait where a test says so."""

    database: Database
    jobs: JobQueue
    ran: asyncio.Queue[int | str] = field(default_factory=asyncio.Queue)
    act: Callable[[int], Awaitable[None]] | None = None

    async def ask(self, *groups: int | str, lock: str | None = None) -> None:
        """Ask for the sending of issues, by number, and of channels, by name."""
        wanted = [send_job(1, group) if isinstance(group, int) else send_job(1, None, group) for group in groups]
        if lock:
            wanted = [JobRequest(one.task_name, lock, one.arguments) for one in wanted]
        async with self.database.transaction() as connection:
            await self.jobs.defer_all(connection, wanted)

    async def next(self) -> int | str:
        return await asyncio.wait_for(self.ran.get(), PATIENCE)

    @asynccontextmanager
    async def working(self, slots: int) -> AsyncIterator[None]:
        """A worker that is idle by now: it has run a job of each queue."""
        worker = asyncio.create_task(Worker(self.jobs, {(MAIN,): slots, (ALERTS,): 1}).run())
        await self.ask(0, "log")
        assert {await self.next(), await self.next()} == {0, "log"}
        yield
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker


@pytest.fixture
async def shop(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(module, "POLL_SECONDS", 10 * PATIENCE)  # nothing is found by looking again
    database, jobs = Database(database_url), JobQueue(database_url)
    it = Shop(database, jobs)

    @jobs.app.task(name="send")
    async def send(repository_id: int, issue_number: int | None, channel: str | None) -> None:
        if it.act and issue_number is not None:
            await it.act(issue_number)
        it.ran.put_nowait(channel or issue_number or 0)

    async with jobs.app.open_async():
        yield it
    await database.close()


async def test_an_idle_worker_is_woken_by_a_job(shop: Shop) -> None:
    async with shop.working(2):
        await shop.ask(1)
        assert await shop.next() == 1
        await shop.ask(-2)
        assert await shop.next() == -2


async def test_a_job_that_waited_for_a_lock_runs_when_the_lock_is_free(shop: Shop) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def wait_at_first(number: int) -> None:
        if number == 1:
            begun.set()
            await go_on.wait()

    shop.act = wait_at_first
    async with shop.working(2):
        await shop.ask(1, lock="one")
        await begun.wait()
        await shop.ask(2, lock="one")
        await shop.ask(3)
        assert await shop.next() == 3, "the other slot is free, and finds no more"
        go_on.set()
        assert [await shop.next(), await shop.next()] == [1, 2]


async def test_jobs_run_side_by_side_as_far_as_there_are_slots(shop: Shop) -> None:
    both = asyncio.Barrier(2)

    async def meet(number: int) -> None:
        if number > 0:
            await asyncio.wait_for(both.wait(), PATIENCE)

    shop.act = meet
    async with shop.working(3):
        await shop.ask(1, 2)
        assert {await shop.next(), await shop.next()} == {1, 2}


async def test_a_repository_whose_jobs_hang_leaves_slots_to_others(shop: Shop) -> None:
    """Of six slots the first repository gets three, the second two, and a third one still finds the last."""
    go_on, counts = asyncio.Event(), Counter[int]()

    async def hang(number: int) -> None:
        if 0 < number < 100:
            counts[number // 10] += 1
            await go_on.wait()

    async def ask(repository_id: int, *numbers: int) -> None:
        async with shop.database.transaction() as connection:
            await shop.jobs.defer_all(connection, [send_job(repository_id, number) for number in numbers])

    shop.act = hang
    async with shop.working(6):
        await ask(1, *range(10, 20))
        await ask(3, 100)
        assert await shop.next() == 100
        await ask(2, *range(20, 30))
        await ask(3, 101)
        assert await shop.next() == 101
        async with asyncio.timeout(PATIENCE):
            while counts.total() < 5:
                await asyncio.sleep(0)
        await ask(3, 102)
        assert await shop.next() == 102
        assert counts == {1: 3, 2: 2}
        go_on.set()
        assert {await shop.next() for _ in range(20)} == set(range(10, 30)), "none is forgotten"


async def test_work_on_mirrors_has_slots_of_its_own_and_one_job_of_a_repository_at_a_time(shop: Shop) -> None:
    assert {send_job(7, None, GIT).row[key] for key in ("queue", "lock")} == {GIT, "git:7"}
    assert send_job(7, None, GIT).lock != send_job(8, None, GIT).lock
    assert send_job(7, 1).row["queue"] == MAIN


async def test_a_job_whose_row_was_locked_when_the_worker_looked_is_not_forgotten(shop: Shop) -> None:
    """As long as a transaction counts on a job that waits, no worker begins it; its end wakes one."""
    async with shop.database.transaction() as one:
        await shop.jobs.defer_all(one, [send_job(1, 1)])
    async with shop.database.transaction() as connection:
        await shop.jobs.defer_all(connection, [send_job(1, 1)])  # counts on the first, which no worker has begun
        worker = asyncio.create_task((busy := Worker(shop.jobs, {(MAIN,): 1})).run())
        await shop.ask(2)
        assert await shop.next() == 2
        async with asyncio.timeout(PATIENCE):
            while not busy.is_idle:  # it has passed over the first, and found no other
                await asyncio.sleep(0)
    assert await shop.next() == 1
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker


async def test_a_job_that_fails_runs_again_without_being_asked_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_DELAY", module.RETRY_DELAY * 0)
    failures = [RuntimeError("at first")]

    async def fail_once(number: int) -> None:
        if number == 1 and failures:
            raise failures.pop()

    shop.act = fail_once
    async with shop.working(1):
        await shop.ask(1)
        assert await shop.next() == 1


async def test_a_failed_job_that_another_worker_has_ended_meanwhile_disturbs_no_other(shop: Shop) -> None:
    async def ended_elsewhere(number: int) -> None:
        if number == 1:
            async with shop.database.autocommit() as connection:
                await connection.execute(text("DELETE FROM procrastinate_jobs WHERE status = 'doing'"))
            raise RuntimeError("too late")

    shop.act = ended_elsewhere
    async with shop.working(1):
        await shop.ask(1)
        await shop.ask(2)
        assert await shop.next() == 2


async def test_a_worker_that_loses_the_database_ends_with_the_reason(shop: Shop) -> None:
    worker = asyncio.create_task(Worker(shop.jobs, {(MAIN,): 1}, shutdown_seconds=0).run())
    await shop.ask(1)
    await shop.next()
    async with shop.database.autocommit() as connection:
        await connection.execute(text("DROP FUNCTION orchestrator_next_job"))
    await shop.ask(2)
    try:
        with pytest.raises(Exception, match="Database error"):
            await asyncio.wait_for(worker, PATIENCE)
    finally:
        async with shop.database.autocommit() as connection:
            await connection.execute(text(NEXT_JOB))


async def test_a_worker_whose_notifications_broke_off_listens_again_and_misses_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECONNECT_SECONDS", 0)
    async with shop.working(1), shop.database.autocommit() as connection:
        listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        ended = await connection.execute(text(f"{listening} AND datname = current_database()"))
        assert ended.all() == [(True,)]
        await shop.ask(1)
        assert await shop.next() == 1


async def test_asking_for_jobs_is_one_statement_whatever_waits(shop: Shop) -> None:
    statements: list[str] = []
    event.listen(
        shop.database.engine.sync_engine,
        "before_cursor_execute",
        lambda conn, cursor, statement, *_: statements.append(statement),
    )
    await shop.ask(1, 2)
    await shop.ask(2, 3)
    assert len(statements) == 2
    async with shop.database.autocommit() as connection:
        found = await connection.execute(text("SELECT count(*) FROM procrastinate_jobs"))
        assert found.scalar_one() == 3
