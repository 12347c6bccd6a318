"""The queue: a send is queued once, however many ask for it, and is never missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from adapters.database.database import Database
from adapters.database.jobs import MAIN, JobQueue, send_job


class Place:
    """A queue with a job that sends, and no worker."""

    def __init__(self, database: Database, jobs: JobQueue) -> None:
        self.database = database
        self.jobs = jobs

    async def ask(self, *numbers: int) -> None:
        async with self.database.transaction() as connection:
            await self.jobs.defer_all(connection, [send_job(1, number) for number in numbers])

    async def take(self) -> int | None:
        """What a worker is given next: the number of its task."""
        async with self.database.autocommit() as connection:
            worker = "INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id"
            which = (await connection.execute(text(worker))).scalar_one()
            fetched = "orchestrator_next_job(NULL, ARRAY[:queue], :worker, '{}')"
            query = text(f"SELECT (job).args->>'issue_number' FROM {fetched}")  # noqa: S608 - of constants alone
            found = (await connection.execute(query, {"queue": MAIN, "worker": which})).scalar_one()
        return int(found) if found else None

    async def waiting(self) -> list[str]:
        query = text("SELECT lock FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")
        async with self.database.autocommit() as connection:
            return list((await connection.execute(query)).scalars())


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    database, jobs = Database(database_url), JobQueue(database_url)

    @jobs.app.task(name="send")
    async def send(repository_id: int, issue_number: int) -> None:
        """No worker runs here."""

    async with jobs.app.open_async():
        yield Place(database, jobs)
    await database.close()


async def test_a_send_that_waits_already_is_not_asked_for_again(place: Place) -> None:
    await place.ask(1, 2, 1)
    await place.ask(2, 3)
    assert await place.waiting() == ["send:1:1", "send:1:2", "send:1:3"]


async def test_one_that_runs_may_have_looked_already_so_another_follows(place: Place) -> None:
    await place.ask(1)
    assert await place.take() == 1
    await place.ask(1)
    assert await place.waiting() == ["send:1:1"]


async def test_a_queued_job_is_not_taken_before_the_commit_that_relies_on_it(place: Place) -> None:
    await place.ask(1)
    async with place.database.transaction() as connection:
        await place.jobs.defer_all(connection, [send_job(1, 1)])
        assert await place.take() is None
    assert await place.take() == 1
    assert await place.waiting() == []


async def test_two_who_count_on_it_do_not_wait_for_each_other(place: Place) -> None:
    await place.ask(1)
    async with place.database.transaction() as one, place.database.transaction() as other:
        await place.jobs.defer_all(one, [send_job(1, 1)])
        await place.jobs.defer_all(other, [send_job(1, 1)])
    assert await place.waiting() == ["send:1:1"]


async def test_one_that_was_begun_before_is_not_counted_on(place: Place) -> None:
    """Its worker was only slow: when that one ends, the job is gone, although another waits for it."""
    await place.ask(1)
    assert await place.take() == 1
    async with place.database.autocommit() as connection:
        job = (await connection.execute(text("SELECT id FROM procrastinate_jobs"))).scalar_one()
        await connection.execute(text("SELECT procrastinate_retry_job_v2(:job, now(), NULL, NULL, NULL)"), {"job": job})
        await place.ask(1)
        await connection.execute(text("SELECT procrastinate_finish_job_v1(:job, 'succeeded', true)"), {"job": job})
    assert await place.waiting() == ["send:1:1"]


async def test_effects_that_people_wait_for_precede_labels_and_cards(place: Place) -> None:
    await place.ask(1, 2, 3)
    async with place.database.transaction() as connection:
        await place.jobs.defer_all(connection, [send_job(1, 4, urgent=True)])
    assert [await place.take(), await place.take()] == [4, 1]


async def test_a_send_that_waits_becomes_as_urgent_as_the_one_that_is_asked_for(place: Place) -> None:
    await place.ask(1, 2, 3)
    async with place.database.transaction() as connection:
        await place.jobs.defer_all(connection, [send_job(1, 3, urgent=True)])
        await place.jobs.defer_all(connection, [send_job(1, 3)])
    assert sorted(await place.waiting()) == ["send:1:1", "send:1:2", "send:1:3"]
    assert [await place.take(), await place.take()] == [3, 1]


async def test_two_that_want_the_same_send_at_once_do_not_wait_for_each_other(place: Place) -> None:
    await place.ask(1)
    async with place.database.transaction() as one, place.database.transaction() as other:
        await place.jobs.defer_all(one, [send_job(1, 1)])
        await asyncio.wait_for(place.jobs.defer_all(other, [send_job(1, 1, urgent=True)]), 60)
        await asyncio.wait_for(place.jobs.defer_all(one, [send_job(1, 1, urgent=True)]), 60)
    assert await place.waiting() == ["send:1:1"]


async def test_one_that_is_to_run_later_again_is_not_waited_for(place: Place) -> None:
    await place.ask(1)
    async with place.database.autocommit() as connection:
        await connection.execute(text("UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 minute'"))
    await place.ask(1)
    assert await place.waiting() == ["send:1:1", "send:1:1"]


@pytest.mark.parametrize("jobs_when_analyzed", [0, 1, 2, 10])
async def test_a_long_queue_is_not_searched_with_the_plan_of_an_empty_one(
    place: Place, jobs_when_analyzed: int
) -> None:
    """PostgreSQL may analyze the table, and plan the fetch, at any moment while next to nothing waits."""
    fetch = text("SELECT (job).id FROM orchestrator_next_job(NULL, ARRAY['default'], 1, ARRAY['2'])")
    query = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'procrastinate_jobs'"
    async with place.database.engine.connect() as connection:  # a session of its own, for plans are kept in it
        await connection.execute(text("INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (1)"))
        await connection.commit()
        for number in range(11):
            if number == jobs_when_analyzed:
                await connection.execute(text("ANALYZE procrastinate_jobs"))
                await connection.commit()
            await place.ask(number)
            await connection.execute(fetch)
            await connection.commit()
        await place.ask(*range(11, 1011))
        rows_before = (await connection.execute(text(query))).scalar_one()
        await connection.execute(fetch)
        assert (await connection.execute(text(query))).scalar_one() - rows_before < 10
