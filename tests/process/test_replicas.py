"""Several replicas on one database: each due deadline is handled once, whichever replica dies or only slept."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import text

from adapters.database.codec import task_to_json
from adapters.database.database import Database
from tests.builders import Story

DEADLINES = int(os.environ.get("DEADLINES", "400"))
REPOSITORIES = 8  # each has one writer at a time, so that the replicas can work side by side
PATIENCE = 120.0  # seconds until something counts as hung
CONFIG = "version: 1\nagents:\n  codex: {adapter: actions, workflow: agent.yml, capabilities: [python, tests]}\n"

_REPOSITORIES = text(
    "INSERT INTO repositories (id, installation_id, full_name, default_branch, active, config)"
    " SELECT n, 1, 'acme/shop-' || n, 'main', true, :config FROM generate_series(1, :repositories) AS n"
)
_TASKS = text(
    "INSERT INTO tasks (repository_id, number, status, priority, attempt, fingerprint, untracked,"
    " required_capabilities, created_at, updated_at, state)"
    " SELECT 1 + n % :repositories, n, 'ready', 'P2', 0, n::text, false, '[]', :at, :at, CAST(:state AS jsonb)"
    " || jsonb_build_object('number', n, 'repository_id', 1 + n % :repositories)"
    " FROM generate_series(1, :tasks) AS n"
)
_WAITS = text(
    "INSERT INTO deadlines (repository_id, target_kind, target_id, kind, due_at)"
    " SELECT repository_id, 'task', number, 'held', :at FROM tasks"
)
# A deadline of a paused task restarts when it is over, which the audit log does not record: the database itself counts.
_COUNTING = """
CREATE TABLE handled (repository_id bigint, number integer);
CREATE FUNCTION note_handled() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO handled VALUES (NEW.repository_id, NEW.number); RETURN NULL; END $$;
CREATE TRIGGER note_handled AFTER UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION note_handled();
"""
_UNCOUNTED = "DROP TRIGGER note_handled ON tasks; DROP FUNCTION note_handled; DROP TABLE handled;"
_HANDLED = text("SELECT count(*) FROM handled")
_LEFT = text(
    "SELECT (SELECT count(*) FROM deadlines WHERE due_at < now()),"
    " (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
)
_HOW_OFTEN = text(
    "SELECT how_often, count(*) FROM (SELECT count(h.number) AS how_often FROM tasks t LEFT JOIN handled h"
    " ON h.repository_id = t.repository_id AND h.number = t.number GROUP BY t.repository_id, t.number) AS each"
    " GROUP BY how_often"
)


@asynccontextmanager
async def replica(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A replica at work, which does not outlive the test."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.process.replica", url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert await asyncio.wait_for(child.stdout.readline(), PATIENCE) == b"ready\n"
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def filled(database: Database) -> None:
    """Paused tasks in several repositories, each with one wait that is over."""
    story = Story().file_ready_task()
    story.run_command("/pause")
    just_now = datetime.now(UTC) - timedelta(seconds=1)
    task = replace(story.task, status_since=just_now - timedelta(days=1))
    async with database.transaction() as connection:
        await connection.execute(_REPOSITORIES, {"config": CONFIG, "repositories": REPOSITORIES})
        told = {
            "tasks": DEADLINES,
            "repositories": REPOSITORIES,
            "at": just_now,
            "state": json.dumps(task_to_json(task)),
        }
        await connection.execute(_TASKS, told)
        await connection.execute(_WAITS, {"at": just_now})


@pytest.fixture
def counting_url(database_url: str) -> Iterator[str]:
    """A database that counts how often each task is written."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_COUNTING)
    yield database_url
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_UNCOUNTED)


@pytest.mark.full
async def test_each_deadline_is_handled_once_although_a_replica_dies_and_another_sleeps(counting_url: str) -> None:
    database = Database(counting_url, 2)

    async def count() -> int:
        async with database.autocommit() as connection:
            return int((await connection.execute(_HANDLED)).scalar_one())

    async def until(what: Callable[[int], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not what(await count()):
                await asyncio.sleep(0.01)

    await filled(database)
    async with replica(counting_url) as mortal, replica(counting_url) as sleeper:
        await until(lambda handled: handled >= DEADLINES // 10)
        mortal.kill()
        sleeper.send_signal(signal.SIGSTOP)  # in the middle of whatever it has in hand
        assert await count() < DEADLINES, "they were too fast to be stopped in the middle"
        async with replica(counting_url):
            await until(lambda handled: handled == DEADLINES)
            sleeper.send_signal(signal.SIGCONT)  # it goes on with what others have done meanwhile
            async with asyncio.timeout(PATIENCE), database.autocommit() as connection:
                while (await connection.execute(_LEFT)).one() != (0, 0):
                    await asyncio.sleep(0.01)
    async with database.autocommit() as connection:
        assert (await connection.execute(_HOW_OFTEN)).all() == [(1, DEADLINES)]
    await database.close()
