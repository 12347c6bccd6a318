"""`make bench-scheduler`: prints a line of JSON for each figure of the clock and of the audit trail."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from sqlalchemy import text

from adapters.database import audit_log
from adapters.database.database import Database
from adapters.database.embedded import EmbeddedPostgres
from adapters.database.jobs import JobQueue
from bot.logs import configure_logs
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.sweep import sweep
from tests.bench.digest_page import drawing
from tests.bench.escalation import worst_seconds
from tests.bench.figure import Figure
from tests.builders import NOW

REPOSITORY = 42
TRIES = 5
_WAITS = text(
    "INSERT INTO deadlines (repository_id, subject, kind, attempt, due_at)"
    " SELECT :home, :what || number, 'stall', 0, :at FROM generate_series(1, :count) AS number"
)
# A tenth as many tasks as lines; each has its lines spread over the whole trail.
_LINES = text(
    "INSERT INTO events (repository_id, type, task, attempt, payload, occurred_at, place, hash)"
    " SELECT :home, 'command_run', 1 + number % :tasks, 1, '{\"command\": \"status\"}', :at, number, 'x'"
    " FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number"
)


@asynccontextmanager
async def working() -> AsyncIterator[UnitOfWorkFactory]:
    """A real database with all tables, and its queue of jobs."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-bench-")))
        server = EmbeddedPostgres(folder)
        url = await asyncio.to_thread(server.start)
        stack.callback(server.stop)
        database = Database(url, 4)
        stack.push_async_callback(database.close)
        await database.migrate()
        jobs = JobQueue(url, pool_size=4)
        await stack.enter_async_context(jobs.app.open_async())
        yield UnitOfWorkFactory(database, jobs, lambda: NOW)


async def sweeping(work: UnitOfWorkFactory, due: int, rows: int) -> Figure:
    """Taking what is due out of many waits, against the same where nothing else waits."""

    async def seconds() -> float:
        async with work.database.transaction() as connection:
            await connection.execute(_WAITS, {"home": REPOSITORY, "what": "task:", "at": NOW, "count": due})
            await connection.execute(text("DELETE FROM procrastinate_jobs"))
        await _settled(work, "deadlines")
        begun = perf_counter()
        taken = await sweep(work)
        assert taken == due, taken
        return perf_counter() - begun

    alone = median([await seconds() for _ in range(TRIES)])
    async with work.database.transaction() as connection:
        later = {"home": REPOSITORY, "what": "task:later-", "at": NOW + timedelta(days=1), "count": rows - due}
        await connection.execute(_WAITS, later)
    among = median([await seconds() for _ in range(TRIES)])
    how = {"rows": rows, "due": due, "ms": round(among * 1000, 1), "ms_alone": round(alone * 1000, 1)}
    return Figure("sweep_scaling", among / alone, "times", 3, how=how)


async def history(work: UnitOfWorkFactory, few: int, many: int) -> Figure:
    """The last lines of one task in a long trail, against the same in a short one."""

    async def seconds() -> float:
        found = []
        async with work.database.autocommit() as connection:
            await audit_log.latest_events(connection, REPOSITORY, 7, 21)
            for _ in range(50):
                begun = perf_counter()
                events = await audit_log.latest_events(connection, REPOSITORY, 7, 21)
                found.append(perf_counter() - begun)
                assert 0 < len(events) <= 21, len(events)
        return median(found)

    async def fill(first: int, last: int) -> None:
        tasks = max(1, last // 10)
        async with work.database.transaction() as connection:
            values = {"home": REPOSITORY, "tasks": tasks, "at": NOW, "first": first, "last": last}
            await connection.execute(_LINES, values)
        await _settled(work, "events")

    await fill(1, few)
    short = await seconds()
    await fill(few + 1, many)
    long = await seconds()
    how = {"events": many, "ms": round(long * 1000, 2), "ms_short": round(short * 1000, 2), "events_short": few}
    return Figure("history_scaling", long / short, "times", 3, how=how)


async def _settled(work: UnitOfWorkFactory, table: str) -> None:
    """Statistics are up to date, as they are in a database that has been running for a while."""
    async with work.database.autocommit() as connection:
        await connection.execute(text(f"ANALYZE {table}"))


async def measure(*, tiny: bool) -> list[Figure]:
    """All figures; those of the clock and of the trail on one database."""
    async with working() as work:
        sweeps = await sweeping(work, *((20, 200) if tiny else (1_000, 100_000)))
        past = await history(work, *((100, 1_000) if tiny else (10_000, 1_000_000)))
    drawn = await drawing(20 if tiny else 1_000)
    return [sweeps, past, *drawn, await worst_seconds(3 if tiny else 500)]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-scheduler ARGS=")
    parser.add_argument("--tiny", action="store_true", help="so small that the figures mean nothing: to try it out")
    told = parser.parse_args(arguments)
    configure_logs("ERROR", stream=sys.stderr)
    for figure in asyncio.run(measure(tiny=told.tiny)):
        print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
