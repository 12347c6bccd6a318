"""`orchestrator audit verify` and `orchestrator audit show`, as commands beside a database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from adapters.database import audit_log, store
from adapters.database import tables as t
from adapters.database.database import Database
from bot.cli.main import app
from core.audit.chain import events_with_changes
from core.audit.events import Event, EventType
from sandbox.state.keys import key_pair
from tests.builders import NOW, Story

TASK = replace(Story().file_ready_task().task, repository_id=42)


@pytest.fixture
async def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("GITHUB_APP_ID", "1")
    monkeypatch.setenv("GITHUB_PRIVATE_KEY", key_pair(0)[0])
    monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "s" * 32)
    database = Database(database_url)
    async with database.transaction() as connection:
        values = {"id": 42, "installation_id": 1, "full_name": "acme/shop", "default_branch": "main"}
        await connection.execute(insert(t.repositories).values(values))
        created = Event(EventType.TASK_CREATED, 1, NOW, actor="alice", payload={"reason": "a\nreason"})
        await audit_log.append(connection, 42, events_with_changes((created,), None, TASK))
        await store.save_task(connection, TASK, NOW)
    await database.close()
    return database_url


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_all_is_well(database: str) -> None:
    assert run("audit", "verify") == (0, "acme/shop: 1 lines, 1 tasks: no problems\n")
    assert run("audit", "show", "1") == (
        0,
        "2026-03-02 09:00:00  task_created         alice  a reason · kind: functional, priority: P2, status: ready\n",
    )
    code, output = run("audit", "show", "1", "--json")
    assert (code, json.loads(output)["changes"]["status"]) == (0, [None, "ready"])
    assert run("audit", "show", "9") == (2, "The audit log has no entry for #9 in acme/shop.\n")
    assert run("audit", "verify", "--repository", "acme/web") == (
        2,
        "There is no repository 'acme/web'; there are: acme/shop\n",
    )


def test_a_tampered_audit_log_fails_verification(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE tasks SET state = jsonb_set(state, '{priority}', '\"P0\"')")
    code, output = run("audit", "verify", "--json")
    assert code == 1
    assert json.loads(output)["acme/shop"]["problems"] == ["#1: `priority` is 'P0', but the audit log says 'P2'"]
    assert run("audit", "verify")[1].endswith("1 problem(s)\n  #1: `priority` is 'P0', but the audit log says 'P2'\n")


def test_a_database_with_tasks_is_not_rebuilt(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("restore") == (2, "The database already has tasks; only an empty one can be restored.\n")
    code, output = run("restore", "--previous-key", __file__)
    assert (code, output.endswith("it is not a private key in PEM form\n")) == (2, True)
