"""`make bench-intake`: prints a line of JSON for each figure of taking deliveries in."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from sqlalchemy import select, text

from adapters.database import repositories, store
from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.embedded import EmbeddedPostgres
from bot.logs import configure_logs
from core.assignment.stats import quantile
from sandbox import RateLimitSettings, Sandbox
from tests.bench.deliveries import SECRET, Load, LoadResult, Origin, delivery_requests
from tests.bench.figure import Figure
from tests.bench.writes import writes
from tests.builders import NOW, Story
from tests.scenarios.shop import CONFIG, FILES

ROOT = Path(__file__).parents[2]
CONNECTIONS = 32
ROUNDS = 3
REPOSITORY_ID = 77  # a repository that only the database knows: the reconciler does not compare its 10,000 tasks
LIMITS = RateLimitSettings(
    requests_per_hour=10**6, points_per_minute=10**6, content_per_minute=10**6, content_per_hour=10**6
)
_PENDING_JOBS = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")


@dataclass
class Environment:
    """A PostgreSQL, a GitHub, and what a bot needs to work with them."""

    url: str
    origin: Origin
    env: dict[str, str]
    database: Database

    @asynccontextmanager
    async def process(self, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
        """A process of the bot with its address; it does not outlive this."""
        pipes: dict[str, Any] = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
        child = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=self.env, cwd=ROOT, **pipes)
        assert child.stdout
        try:
            address = ""
            while not address:
                line = (await child.stdout.readline()).decode()
                if not line:
                    raise RuntimeError("the bot ended before it listened")
                match = re.search(r"Listening on (\S+);", line)
                address = match[1] if match else ""
            drain_task = asyncio.create_task(_drain(child.stdout))
            yield child, address
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
                await child.wait()
            await drain_task

    async def clear(self) -> None:
        """No delivery and no job is left over."""
        async with self.database.autocommit() as connection:
            await connection.execute(text("TRUNCATE deliveries, procrastinate_jobs RESTART IDENTITY CASCADE"))


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


@asynccontextmanager
async def open_environment(tasks: int) -> AsyncIterator[Environment]:
    """Everything but the bot; in the database there are so many open tasks."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-bench-")))
        server = EmbeddedPostgres(folder / "database")
        url = await asyncio.to_thread(server.start)
        stack.callback(server.stop)
        database = Database(url, 4)
        stack.push_async_callback(database.close)
        await database.migrate()
        hub = await stack.enter_async_context(Sandbox(folder / "github", limits=LIMITS))
        repository = await asyncio.to_thread(lambda: hub.repository("acme/other", files=dict(FILES)))
        manifest: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text(encoding="utf-8"))
        app = hub.register_app(
            "mcp-orchestrator",
            secret=SECRET,
            permissions=manifest["default_permissions"],
            events=manifest["default_events"],
        )
        installation = await hub.install(app, hub.organisation("acme"), [repository])
        await _seed(database, installation.id, tasks)
        env = {
            "PATH": os.environ["PATH"],
            "GITHUB_APP_ID": str(app.id),
            "GITHUB_PRIVATE_KEY": app.private_key,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GITHUB_API_URL": hub.url,
            "GITHUB_SERVER_URL": hub.url,
            "DATABASE_URL": url,
            "DATA_DIR": str(folder / "data"),
            "PORT": "0",
            "LOG_LEVEL": "ERROR",
        }
        yield Environment(url, Origin(REPOSITORY_ID, "acme/shop", installation.id), env, database)


async def _seed(database: Database, installation_id: int, tasks: int) -> None:
    template_task = Story().file_ready_task().task
    async with database.transaction() as connection:
        await repositories.save_repository(
            connection,
            REPOSITORY_ID,
            installation_id=installation_id,
            full_name="acme/shop",
            default_branch="main",
            active=True,
        )
        values = {"config": CONFIG, "config_sha": "a" * 40, "config_read_at": NOW}
        await connection.execute(t.repositories.update().where(t.repositories.c.id == REPOSITORY_ID).values(values))
        for number in range(1, tasks + 1):
            task = replace(
                template_task,
                repository_id=REPOSITORY_ID,
                number=number,
                issue_id=number,
                fingerprint=f"task-{number}",
                created_at=NOW + timedelta(seconds=number),
            )
            await store.save_task(connection, task, NOW)
    async with database.autocommit() as connection:
        await connection.execute(text("ANALYZE"))


def memory_mb(pid: int) -> float:
    """The memory of the bot in MB: that of this process and of its front, where what they share counts once."""
    program = os.readlink(f"/proc/{pid}/exe")
    total = 0
    for process_id in (str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        with contextlib.suppress(OSError):  # a git that has just ended
            if os.readlink(f"/proc/{process_id}/exe") == program:
                rollup = Path(f"/proc/{process_id}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


async def measure_throughput(environment: Environment, count: int) -> list[Figure]:
    """As many as are taken in, by the endpoint alone, against the same endpoint that keeps nothing."""
    stored_outcomes: list[LoadResult] = []
    bare_outcomes: list[LoadResult] = []
    prepared_requests = delivery_requests(environment.origin, 100)
    server = ("-m", "tests.bench.intake_server")
    async with (
        environment.process(*server) as (_, address),
        environment.process(*server, "--bare") as (_, bare_address),
    ):
        for _ in range(ROUNDS):
            for target, outcomes in ((address, stored_outcomes), (bare_address, bare_outcomes)):
                async with Load(target, CONNECTIONS) as load:
                    outcomes.append(await load.send_at_full_speed(list(itertools.islice(prepared_requests, count))))
    await environment.clear()
    deliveries_per_second = median(len(outcome.accepted_guids) / outcome.seconds for outcome in stored_outcomes)
    bare_deliveries_per_second = median(len(outcome.accepted_guids) / outcome.seconds for outcome in bare_outcomes)
    latencies_ms = [latency_ms for outcome in stored_outcomes for latency_ms in outcome.latencies_ms]
    details = {"connections": CONNECTIONS, "deliveries": count * ROUNDS, "kB": 12, "time": "real"}
    return [
        Figure("intake_per_second", deliveries_per_second, "deliveries/s", None, details=details),
        Figure("intake_p50", (quantile(latencies_ms, 0.5) or 0.0), "ms", None, details={"at": "full speed"}),
        Figure("intake_p99", (quantile(latencies_ms, 0.99) or 0.0), "ms", None, details={"at": "full speed"}),
        Figure(
            "intake_vs_bare",
            deliveries_per_second / bare_deliveries_per_second,
            "of the bare endpoint",
            None,
            details={"bare": round(bare_deliveries_per_second)},
        ),
    ]


async def measure_under_load(environment: Environment, seconds: float, per_second: int, tasks: int) -> list[Figure]:
    """The whole bot, at work on what it takes in; it is killed at the end."""
    prepared_requests = list(
        itertools.islice(delivery_requests(environment.origin, tasks), round(seconds * per_second))
    )
    memory: list[float] = []
    async with environment.process("-m", "bot", "serve") as (child, address):
        await _wait_until_idle(environment, child)
        idle_mb = memory_mb(child.pid)
        sample_task = asyncio.create_task(_sample_memory(child.pid, memory))
        async with Load(address, CONNECTIONS * 4) as load:
            load_outcome = await load.send_at_rate(prepared_requests, per_second)
            last_requests = list(itertools.islice(delivery_requests(environment.origin, tasks), 2 * per_second))
            kill_timer = asyncio.get_running_loop().call_later(1, child.kill)
            final_outcome = await load.send_at_rate(last_requests, per_second)
            kill_timer.cancel()
        sample_task.cancel()
        await child.wait()
        handled_count, waiting_count, lost_count = await _classify_deliveries(
            environment, [*load_outcome.accepted_guids, *final_outcome.accepted_guids]
        )
    details = {
        "median": round(median(load_outcome.latencies_ms), 1),
        "worst": round(max(load_outcome.latencies_ms), 1),
        "per_second": per_second,
        "seconds": seconds,
        "handled_meanwhile": handled_count,
        "refused": load_outcome.rejected,
    }
    kill_details = {
        "taken": len(load_outcome.accepted_guids) + len(final_outcome.accepted_guids),
        "in_the_last_second": len(final_outcome.accepted_guids),
        "waiting": waiting_count,
    }
    measured_processes = "both processes of the bot; PostgreSQL and git are others"
    memory_details = {"idle": round(idle_mb, 1), "tasks": tasks, "counted": measured_processes}
    return [
        Figure("intake_p99_ms", (quantile(load_outcome.latencies_ms, 0.99) or 0.0), "ms", 50, details=details),
        Figure("lost_after_kill", lost_count, "deliveries", 0, 0, details=kill_details),
        Figure("memory_mb_10k_tasks", max(memory), "MB", 200, 512, details=memory_details),
    ]


async def _sample_memory(pid: int, memory: list[float]) -> None:
    while True:
        memory.append(memory_mb(pid))
        await asyncio.sleep(0.5)


async def _wait_until_idle(environment: Environment, child: asyncio.subprocess.Process) -> None:
    """Wait until the start is over and there is nothing to do."""
    async with asyncio.timeout(120):
        for _ in range(4):  # quiet for a whole second
            await asyncio.sleep(0.25)
            async with environment.database.autocommit() as connection:
                while (await connection.execute(_PENDING_JOBS)).scalar_one():
                    await asyncio.sleep(0.1)


async def _classify_deliveries(environment: Environment, accepted_guids: list[str]) -> tuple[int, int, int]:
    """How many of these were handled, how many have a job that will, and how many have neither."""
    async with environment.database.autocommit() as connection:
        rows = await connection.execute(select(t.deliveries.c.guid, t.deliveries.c.handled_at.is_not(None)))
        handled_by_guid: dict[str, bool] = dict(rows.all())
        jobs = await connection.execute(
            text(
                "SELECT guid FROM deliveries JOIN procrastinate_jobs ON args->>'key' = ordering_key"
                " WHERE task_name = 'delivery'"
            )
        )
        retry_deadlines = await connection.execute(
            text("SELECT target_id FROM deadlines WHERE target_kind = 'delivery'")
        )
        scheduled_guids = {*jobs.scalars(), *retry_deadlines.scalars()}
    handled = [guid for guid in accepted_guids if handled_by_guid.get(guid)]
    waiting = [
        guid
        for guid in accepted_guids
        if guid in handled_by_guid and not handled_by_guid[guid] and guid in scheduled_guids
    ]
    return len(handled), len(waiting), len(accepted_guids) - len(handled) - len(waiting)


async def measure(only: str | None, *, seconds: float, count: int, tasks: int, per_second: int = 200) -> list[Figure]:
    """All figures, or only those of the endpoint alone (`flat`), or of the whole bot (`busy`)."""
    async with open_environment(tasks) as environment:
        throughput_figures = await measure_throughput(environment, count) if only != "busy" else []
        return [
            *throughput_figures,
            *(await measure_under_load(environment, seconds, per_second, tasks) if only != "flat" else []),
        ]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 only if something that must hold does not."""
    parser = argparse.ArgumentParser(prog="make bench-intake ARGS=")
    parser.add_argument("--seconds", type=float, default=60, help="how long deliveries come in beside work")
    parser.add_argument(
        "--only", choices=["flat", "busy", "writes"], help="the endpoint alone, the whole bot, the demo"
    )
    parser.add_argument("--tiny", action="store_true", help="so small that the figures mean nothing: to try it out")
    options = parser.parse_args(arguments)
    configure_logs("ERROR", stream=sys.stderr)
    figures: list[Figure] = []
    if options.only == "writes":
        figures = writes()
    elif options.tiny:
        figures = asyncio.run(measure(options.only, seconds=0.5, count=20, tasks=50, per_second=20))
    else:
        figures = asyncio.run(measure(options.only, seconds=options.seconds, count=2_000, tasks=10_000))
    if options.only is None and not options.tiny:
        figures += writes()
    is_missed = False
    for figure in figures:
        print(figure.to_json(), flush=True)
        is_missed |= figure.hard_limit is not None and figure.value > figure.hard_limit
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
