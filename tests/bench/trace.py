"""Traces one task from issue to merge: statements, transactions, jobs, git processes and requests, each with its cause.

`make trace-task` prints the table. A cause is the innermost function of ours that asked for it, with its caller, so a
line of the table is a place in the code. The clock of the story stands still and one job runs at a time, so the same
program gives the same counts.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from adapters.database.database import Database
from adapters.database.embedded import EmbeddedPostgres
from bot.logs import configure_logs
from sandbox.actors.agents import WritesFiles
from tests.bench.figure import Figure
from tests.scenarios.shop import body
from tests.scenarios.world import World, open_world

ROOT = Path(__file__).parents[2]
_SKIPPED_FILES = (
    "adapters/database/database.py",
    "adapters/git/process.py",
    "sandbox/git/command.py",
    "tests/bench/trace.py",
)
_WORLD_FILE = (
    "tests/scenarios/world.py"  # what the story asks to see whether everything has come to rest is not counted
)
_TRANSACTION = "transaction control"


@dataclass(slots=True)
class Trace:
    """What was counted, by kind and cause."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # kind, what, cause

    def record(self, kind: str, description: str) -> None:
        """Count one, with the cause that is on the stack."""
        functions = _stack_functions(sys._getframe(1))
        if not functions or functions[0].startswith(f"{_WORLD_FILE}:_open"):
            return
        self.counts[kind, description, " < ".join(functions[:2])] += 1

    def total(self, kind: str) -> int:
        """How many of a kind."""
        return sum(count for (counted_kind, _, _), count in self.counts.items() if counted_kind == kind)


def _stack_functions(frame: FrameType | None) -> list[str]:
    """The functions of ours on the stack, innermost first."""
    functions = []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and ".venv" not in path.parts:
            name = path.relative_to(ROOT).as_posix()
            if name not in _SKIPPED_FILES:
                functions.append(f"{name}:{frame.f_code.co_name}")
        frame = frame.f_back
    return functions


@contextmanager
def _patch(owner: Any, name: str, replacement: Callable[[Any], Any]) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, replacement(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def record_calls(trace: Trace) -> Iterator[None]:
    """Count everything that is sent to PostgreSQL and every git process that is started, while inside."""

    def wrap_execute(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def execute(cursor: Any, query: Any, *arguments: Any, **more: Any) -> Any:
            trace.record("statement", _short_query(query if isinstance(query, str) else query.as_string(cursor)))
            return await original(cursor, query, *arguments, **more)

        return execute

    def wrap_end(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def end_transaction(connection: Any) -> None:
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                trace.record("transaction", _TRANSACTION)
            await original(connection)

        return end_transaction

    def wrap_process(original: Callable[..., Any]) -> Callable[..., Any]:
        def start_process(*command: Any, **more: Any) -> Any:
            arguments = command[0] if isinstance(command[0], list | tuple) else command
            if Path(str(arguments[0])).name == "git":
                trace.record("git process", f"git {arguments[1]}")
            return original(*command, **more)

        return start_process

    with (
        _patch(psycopg.AsyncCursor, "execute", wrap_execute),
        _patch(psycopg.AsyncCursor, "executemany", wrap_execute),
        _patch(psycopg.AsyncConnection, "commit", wrap_end),
        _patch(psycopg.AsyncConnection, "rollback", wrap_end),
        _patch(asyncio, "create_subprocess_exec", wrap_process),
        _patch(subprocess, "run", wrap_process),
    ):
        yield


def _short_query(query: str) -> str:
    return " ".join(query.split())[:60]


@dataclass(frozen=True, slots=True)
class TaskTrace:
    """One task's way: the trace, the jobs that ran, and the requests to GitHub."""

    trace: Trace
    jobs: int
    requests: int

    @property
    def statements(self) -> int:
        """Everything that was sent to PostgreSQL: each transaction begins and ends with one."""
        return self.trace.total("statement") + 2 * self.trace.total("transaction")

    def figures(self) -> list[Figure]:
        """The figures, with their targets."""
        details = {"time": "stands still", "workers": 1}
        transaction_details = {"of_them_transaction_control": 2 * self.trace.total("transaction")}
        git_process_count = self.trace.total("git process")
        return [
            Figure("statements_per_task", self.statements, "statements", 300, details=details | transaction_details),
            Figure("jobs_per_task", self.jobs, "jobs", 10, details=details | {"before": BASELINE_JOBS}),
            Figure(
                "git_processes_per_task",
                git_process_count,
                "processes",
                20,
                details=details | {"of": "the bot and the sandbox"},
            ),
            Figure("requests_per_task", self.requests, "requests", None, details=details),
        ]


BASELINE_JOBS = 17
"""Jobs of the same task when each delivery had a job of its own (commit 562bd84, counted in the same way)."""

_JOBS = text("SELECT last_value FROM procrastinate_jobs_id_seq")


async def trace_task() -> TaskTrace:
    """Trace a task in a world of its own: a person files it, an agent of the repository's workflows does it."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-trace-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        url = await asyncio.to_thread(server.start)
        try:
            database = Database(url)
            await database.migrate()
            await database.close()
            async with open_world(Path(folder), url) as world:
                return await _trace_in_world(world)
        finally:
            await asyncio.to_thread(server.stop)


async def _trace_in_world(world: World) -> TaskTrace:
    world.agent("codex", WritesFiles({"shop/tax.py": "RATE = 0.19\n"}))
    trace, jobs, requests = Trace(), await _count_jobs(world), len(world.hub.requests)
    with record_calls(trace):
        issue = await world.files("Add the tax rate", body(needs="tests", files="`shop/tax.py`"), "bug")
    assert world.status(issue) == "done", world.status(issue)
    world.ignore_writes("traced above")
    return TaskTrace(trace, await _count_jobs(world) - jobs, len(world.hub.requests) - requests)


async def _count_jobs(world: World) -> int:
    async with world.bot.database.autocommit() as connection:
        return int((await connection.execute(_JOBS)).scalar_one())


def _print_table(task_trace: TaskTrace) -> None:
    console = Console(width=200)
    for kind in ("statement", "transaction", "git process"):
        rows = [
            (count, description, cause)
            for (counted_kind, description, cause), count in task_trace.trace.counts.items()
            if counted_kind == kind
        ]
        table = Table(title=f"{kind}: {sum(row[0] for row in rows)}", title_justify="left")
        table.add_column("count", justify="right")
        table.add_column("what", no_wrap=True, max_width=62)
        table.add_column("cause", overflow="fold")
        for count, description, cause in sorted(rows, reverse=True):
            table.add_row(str(count), description, cause)
        console.print(table)
    console.print(f"jobs: {task_trace.jobs}   requests to GitHub: {task_trace.requests}")


def main(arguments: list[str] | None = None) -> int:
    """Trace and print."""
    parser = argparse.ArgumentParser(prog="make trace-task ARGS=")
    parser.add_argument("--figures", action="store_true", help="only a line of JSON for each figure")
    options = parser.parse_args(arguments)
    configure_logs("ERROR", stream=sys.stderr)
    task_trace = asyncio.run(trace_task())
    if not options.figures:
        _print_table(task_trace)
    for figure in task_trace.figures():
        print(figure.to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
