"""`orchestrator retrospective`, as a command beside a database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert

from adapters.database import audit_log, store
from adapters.database import tables as t
from adapters.database.database import Database
from core.audit.events import Event, EventType
from core.task.model import Status
from sandbox.state.keys import key_pair
from tests.bot.test_audit_command import run
from tests.builders import NOW, Story
from tests.scenarios.shop import CONFIG

DONE = replace(Story().file_ready_task().task, repository_id=42, status=Status.DONE)


@pytest.fixture
async def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("GITHUB_APP_ID", "1")
    monkeypatch.setenv("GITHUB_PRIVATE_KEY", key_pair(0)[0])
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "s" * 32)
    database = Database(database_url)
    async with database.transaction() as connection:
        values = {"id": 42, "installation_id": 1, "full_name": "acme/shop", "default_branch": "main", "config": CONFIG}
        await connection.execute(insert(t.repositories).values(values))
        await store.save_task(connection, DONE, NOW)
        given = Event(EventType.TASK_ASSIGNED, 1, NOW + timedelta(hours=1), "codex", 1, None, {"role": "implement"})
        done = Event(EventType.TASK_COMPLETED, 1, NOW + timedelta(hours=3), "codex", 1)
        await audit_log.append(connection, 42, (Event(EventType.TASK_CREATED, 1, NOW), given, done))
    await database.close()
    return database_url


def kept(url: str) -> tuple[int, int, int]:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM retrospectives), (SELECT count(*) FROM outbox),"
            " (SELECT count(*) FROM procrastinate_jobs)"
        ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def test_it_is_printed_and_nothing_is_kept(database: str) -> None:
    code, output = run("retrospective", "--repository", "acme/shop")
    assert code == 0
    assert "| **Cycle time** (first assigned → done, median) | 2 h |" in output
    assert "orchestrator:retrospective" not in output
    code, output = run("retrospective", "--since", "2026-03-01", "--json")
    told = json.loads(output)
    assert (code, told["median"], told["tasks"][0]["attempts"]) == (0, {"lead": "PT3H", "cycle": "PT2H"}, 1)
    assert kept(database) == (0, 0, 0)
    assert run("retrospective", "--since", "soon")[0] == 2
    assert run("retrospective", "--since", "2026-03-03") == (2, "No task was done in acme/shop since then.\n")


def test_it_is_posted(database: str) -> None:
    assert run("retrospective", "--post")[0] == 0
    assert kept(database) == (1, 1, 1)
    code, output = run("retrospective", "--post")
    assert (code, output.startswith("No task was done in acme/shop that is not in")) == (2, True)
