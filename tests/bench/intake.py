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
from dataclasses import dataclass, field, replace
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
from sandbox import RateLimits, Sandbox
from tests.bench.deliveries import SECRET, Load, Origin, Outcome, requests
from tests.bench.figure import Figure
from tests.bench.writes import writes
from tests.builders import NOW, Story
from tests.scenarios.shop import CONFIG, FILES

ROOT = Path(__file__).parents[2]
CONNECTIONS = 32
ROUNDS = 3
SHOP = 77  # a repository that only the database knows: nobody compares its 10,000 tasks with anything
LIMITS = RateLimits(requests_per_hour=10**6, points_per_minute=10**6, content_per_minute=10**6, content_per_hour=10**6)
_LEFT = text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")


@dataclass
class Ground:
    """A PostgreSQL, a GitHub, and what a bot needs to work with them."""

    url: str
    origin: Origin
    env: dict[str, str]
    database: Database
    made: dict[str, Any] = field(default_factory=dict)

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
                found = re.search(r"Listening on (\S+);", line)
                address = found[1] if found else ""
            reading = asyncio.create_task(_drain(child.stdout))
            yield child, address
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
                await child.wait()
            await reading

    async def empty(self) -> None:
        """No delivery and no job is left over."""
        async with self.database.autocommit() as connection:
            await connection.execute(text("TRUNCATE deliveries, procrastinate_jobs RESTART IDENTITY CASCADE"))


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


@asynccontextmanager
async def ground(tasks: int) -> AsyncIterator[Ground]:
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
        other = await asyncio.to_thread(lambda: hub.repository("acme/other", files=dict(FILES)))
        manifest: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text(encoding="utf-8"))
        app = hub.register_app(
            "mcp-orchestrator",
            secret=SECRET,
            permissions=manifest["default_permissions"],
            events=manifest["default_events"],
        )
        installation = await hub.install(app, hub.organisation("acme"), [other])
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
        yield Ground(url, Origin(SHOP, "acme/shop", installation.id), env, database)


async def _seed(database: Database, installation_id: int, tasks: int) -> None:
    known = Story().ready().task
    async with database.transaction() as connection:
        await repositories.save_repository(
            connection, SHOP, installation_id=installation_id, full_name="acme/shop", default_branch="main", active=True
        )
        values = {"config": CONFIG, "config_sha": "a" * 40, "config_read_at": NOW}
        await connection.execute(t.repositories.update().where(t.repositories.c.id == SHOP).values(values))
        for number in range(1, tasks + 1):
            task = replace(
                known,
                repository_id=SHOP,
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
    for one in (str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        with contextlib.suppress(OSError):  # a git that has just ended
            if os.readlink(f"/proc/{one}/exe") == program:
                rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


async def flat_out(place: Ground, count: int) -> list[Figure]:
    """As many as are taken in, by the endpoint alone, against the same endpoint that keeps nothing."""
    kept: list[Outcome] = []
    bare: list[Outcome] = []
    made = requests(place.origin, 100)
    server = ("-m", "tests.bench.intake_server")
    async with place.process(*server) as (_, address), place.process(*server, "--bare") as (_, other):
        for _ in range(ROUNDS):
            for where, outcomes in ((address, kept), (other, bare)):
                async with Load(where, CONNECTIONS) as load:
                    outcomes.append(await load.as_fast(list(itertools.islice(made, count))))
    await place.empty()
    speed = median(len(one.taken) / one.seconds for one in kept)
    without = median(len(one.taken) / one.seconds for one in bare)
    ms = [taken for one in kept for taken in one.ms]
    how = {"connections": CONNECTIONS, "deliveries": count * ROUNDS, "kB": 12, "time": "real"}
    return [
        Figure("intake_per_second", speed, "deliveries/s", None, how=how),
        Figure("intake_p50", (quantile(ms, 0.5) or 0.0), "ms", None, how={"at": "full speed"}),
        Figure("intake_p99", (quantile(ms, 0.99) or 0.0), "ms", None, how={"at": "full speed"}),
        Figure("intake_vs_bare", speed / without, "of the bare endpoint", None, how={"bare": round(without)}),
    ]


async def busy(place: Ground, seconds: float, per_second: int, tasks: int) -> list[Figure]:
    """The whole bot, at work on what it takes in; it is killed at the end."""
    made = list(itertools.islice(requests(place.origin, tasks), round(seconds * per_second)))
    memory: list[float] = []
    async with place.process("-m", "bot", "serve") as (child, address):
        await _idle(place, child)
        idle = memory_mb(child.pid)
        watching = asyncio.create_task(_watch(child.pid, memory))
        async with Load(address, CONNECTIONS * 4) as load:
            sent = await load.at_pace(made, per_second)
            last = list(itertools.islice(requests(place.origin, tasks), 2 * per_second))
            killing = asyncio.get_running_loop().call_later(1, child.kill)
            end = await load.at_pace(last, per_second)
            killing.cancel()
        watching.cancel()
        await child.wait()
        handled, left, lost = await _found(place, [*sent.taken, *end.taken])
    how = {
        "median": round(median(sent.ms), 1),
        "worst": round(max(sent.ms), 1),
        "per_second": per_second,
        "seconds": seconds,
        "handled_meanwhile": handled,
        "refused": sent.refused,
    }
    told = {"taken": len(sent.taken) + len(end.taken), "in_the_last_second": len(end.taken), "waiting": left}
    counted = "both processes of the bot; PostgreSQL and git are others"
    memories = {"idle": round(idle, 1), "tasks": tasks, "counted": counted}
    return [
        Figure("intake_p99_ms", (quantile(sent.ms, 0.99) or 0.0), "ms", 50, how=how),
        Figure("lost_after_kill", lost, "deliveries", 0, 0, how=told),
        Figure("memory_mb_10k_tasks", max(memory), "MB", 200, 512, how=memories),
    ]


async def _watch(pid: int, memory: list[float]) -> None:
    while True:
        memory.append(memory_mb(pid))
        await asyncio.sleep(0.5)


async def _idle(place: Ground, child: asyncio.subprocess.Process) -> None:
    """Wait until the start is over and there is nothing to do."""
    async with asyncio.timeout(120):
        for _ in range(4):  # quiet for a whole second
            await asyncio.sleep(0.25)
            async with place.database.autocommit() as connection:
                while (await connection.execute(_LEFT)).scalar_one():
                    await asyncio.sleep(0.1)


async def _found(place: Ground, taken: list[str]) -> tuple[int, int, int]:
    """How many of these were handled, how many have a job that will, and how many have neither."""
    async with place.database.autocommit() as connection:
        rows = await connection.execute(select(t.deliveries.c.guid, t.deliveries.c.handled_at.is_not(None)))
        there: dict[str, bool] = dict(rows.all())
        jobs = await connection.execute(
            text(
                "SELECT guid FROM deliveries JOIN procrastinate_jobs ON args->>'key' = ordering_key"
                " WHERE task_name = 'delivery'"
            )
        )
        waits = await connection.execute(
            text("SELECT substr(subject, 10) FROM deadlines WHERE subject LIKE 'delivery:%'")
        )
        coming = {*jobs.scalars(), *waits.scalars()}
    handled = [guid for guid in taken if there.get(guid)]
    waiting = [guid for guid in taken if guid in there and not there[guid] and guid in coming]
    return len(handled), len(waiting), len(taken) - len(handled) - len(waiting)


async def measure(only: str | None, *, seconds: float, count: int, tasks: int, per_second: int = 200) -> list[Figure]:
    """All figures, or only those of the endpoint alone (`flat`), or of the whole bot (`busy`)."""
    async with ground(tasks) as place:
        flat = await flat_out(place, count) if only != "busy" else []
        return [*flat, *(await busy(place, seconds, per_second, tasks) if only != "flat" else [])]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 only if something that must hold does not."""
    parser = argparse.ArgumentParser(prog="make bench-intake ARGS=")
    parser.add_argument("--seconds", type=float, default=60, help="how long deliveries come in beside work")
    parser.add_argument(
        "--only", choices=["flat", "busy", "writes"], help="the endpoint alone, the whole bot, the demo"
    )
    parser.add_argument("--tiny", action="store_true", help="so small that the figures mean nothing: to try it out")
    told = parser.parse_args(arguments)
    configure_logs("ERROR", stream=sys.stderr)
    figures: list[Figure] = []
    if told.only == "writes":
        figures = writes()
    elif told.tiny:
        figures = asyncio.run(measure(told.only, seconds=0.5, count=20, tasks=50, per_second=20))
    else:
        figures = asyncio.run(measure(told.only, seconds=told.seconds, count=2_000, tasks=10_000))
    if told.only is None and not told.tiny:
        figures += writes()
    missed = False
    for figure in figures:
        print(figure.line(), flush=True)
        missed |= figure.must is not None and figure.value > figure.must
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
