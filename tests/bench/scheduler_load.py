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
from tests.bench.digest_page import digest_figures
from tests.bench.escalation import measure_worst_delivery
from tests.bench.figure import Figure
from tests.bench.hung_fetches import measure_help
from tests.builders import NOW

REPOSITORY = 42
RUNS = 5
_INSERT_DEADLINES = text(
    "INSERT INTO deadlines (repository_id, target_kind, target_id, kind, due_at)"
    " SELECT :home, :kind, number, 'stall', :at FROM generate_series(1, :count) AS number"
)
# A tenth as many tasks as lines; each has its lines spread over the whole trail.
_INSERT_EVENTS = text(
    "INSERT INTO events (repository_id, type, task, attempt, payload, occurred_at, seq, hash)"
    " SELECT :home, 'command_run', 1 + number % :tasks, 1, '{\"command\": \"status\"}', :at, number, 'x'"
    " FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS number"
)


@asynccontextmanager
async def open_unit_of_work_factory() -> AsyncIterator[UnitOfWorkFactory]:
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


async def measure_sweep(work: UnitOfWorkFactory, due_count: int, row_count: int) -> Figure:
    """Taking what is due out of many waits, against the same where nothing else waits."""

    async def sweep_seconds() -> float:
        async with work.database.transaction() as connection:
            await connection.execute(
                _INSERT_DEADLINES, {"home": REPOSITORY, "kind": "task", "at": NOW, "count": due_count}
            )
            await connection.execute(text("DELETE FROM procrastinate_jobs"))
        await _update_statistics(work, "deadlines")
        started_at = perf_counter()
        taken_count = await sweep(work)
        assert taken_count == due_count, taken_count
        return perf_counter() - started_at

    alone_seconds = median([await sweep_seconds() for _ in range(RUNS)])
    async with work.database.transaction() as connection:
        later_values = {
            "home": REPOSITORY,
            "kind": "later",
            "at": NOW + timedelta(days=1),
            "count": row_count - due_count,
        }
        await connection.execute(_INSERT_DEADLINES, later_values)
    among_seconds = median([await sweep_seconds() for _ in range(RUNS)])
    details = {
        "rows": row_count,
        "due": due_count,
        "ms": round(among_seconds * 1000, 1),
        "ms_alone": round(alone_seconds * 1000, 1),
    }
    return Figure("sweep_scaling", among_seconds / alone_seconds, "times", 3, details=details)


async def measure_history(work: UnitOfWorkFactory, small_count: int, large_count: int) -> Figure:
    """The last lines of one task in a long trail, against the same in a short one."""

    async def query_seconds() -> float:
        durations = []
        async with work.database.autocommit() as connection:
            await audit_log.latest_events(connection, REPOSITORY, 7, 21)
            for _ in range(50):
                started_at = perf_counter()
                events = await audit_log.latest_events(connection, REPOSITORY, 7, 21)
                durations.append(perf_counter() - started_at)
                assert 0 < len(events) <= 21, len(events)
        return median(durations)

    async def fill(first: int, last: int) -> None:
        tasks = max(1, last // 10)
        async with work.database.transaction() as connection:
            values = {"home": REPOSITORY, "tasks": tasks, "at": NOW, "first": first, "last": last}
            await connection.execute(_INSERT_EVENTS, values)
        await _update_statistics(work, "events")

    await fill(1, small_count)
    small_seconds = await query_seconds()
    await fill(small_count + 1, large_count)
    large_seconds = await query_seconds()
    details = {
        "events": large_count,
        "ms": round(large_seconds * 1000, 2),
        "ms_short": round(small_seconds * 1000, 2),
        "events_short": small_count,
    }
    return Figure("history_scaling", large_seconds / small_seconds, "times", 3, details=details)


async def _update_statistics(work: UnitOfWorkFactory, table: str) -> None:
    """Statistics are up to date, as they are in a database that has been running for a while."""
    async with work.database.autocommit() as connection:
        await connection.execute(text(f"ANALYZE {table}"))


async def measure(*, tiny: bool) -> list[Figure]:
    """All figures; those of the clock and of the trail on one database."""
    async with open_unit_of_work_factory() as work:
        sweep_figure = await measure_sweep(work, *((20, 200) if tiny else (1_000, 100_000)))
        history_figure = await measure_history(work, *((100, 1_000) if tiny else (10_000, 1_000_000)))
    page_figures = await digest_figures(20 if tiny else 1_000)
    help_figure = await measure_help(*((2, 1) if tiny else (10, 5)))
    return [sweep_figure, history_figure, *page_figures, help_figure, await measure_worst_delivery(3 if tiny else 500)]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench-scheduler ARGS=")
    parser.add_argument("--tiny", action="store_true", help="so small that the figures mean nothing: to try it out")
    options = parser.parse_args(arguments)
    configure_logs("ERROR", stream=sys.stderr)
    for figure in asyncio.run(measure(tiny=options.tiny)):
        print(figure.to_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
