"""The audit trail on a real database: a chain in which every change is detected, and that accounts for every task."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from adapters.database import audit_log, store
from adapters.database import tables as t
from adapters.database.database import Database
from core.audit.chain import events_with_changes
from core.audit.events import Event, EventType
from core.task.model import Flag, Priority, Status
from tests.builders import NOW, Story

REPOSITORY = 42
TASK = replace(Story().file_ready_task().task, repository_id=REPOSITORY)


@pytest.fixture
async def connection(database_url: str) -> Any:
    """In a transaction that is never committed."""
    database = Database(database_url)
    async with database.engine.connect() as connection:
        values = {"id": REPOSITORY, "installation_id": 1, "full_name": "acme/shop", "default_branch": "main"}
        await connection.execute(insert(t.repositories).values(values))
        yield connection
    await database.close()


def line(type_: EventType, minutes: int = 0, **payload: Any) -> Event:
    return Event(type_, 1, NOW + timedelta(minutes=minutes), "codex", 1, "alice", payload)


async def lived(connection: Any) -> None:
    """A task that was made, and became urgent and blocked."""
    urgent = replace(TASK, priority=Priority.P0).with_flag(Flag.BLOCKED, "Wait.")
    for before, after, events in (
        (None, TASK, (line(EventType.TASK_CREATED, title="Ünïcode \u2028 and 1.50", weight=2.0, small=-0.0),)),
        (TASK, urgent, (line(EventType.INSTRUCTION, 1, label="P0"), line(EventType.COMMAND_RUN, 1, command="x"))),
    ):
        await audit_log.append(connection, REPOSITORY, events_with_changes(events, before, after))
    await store.save_task(connection, urgent, NOW)


async def test_what_was_written_is_whole_and_accounts_for_the_task(connection: Any) -> None:
    await lived(connection)
    assert await audit_log.verify(connection, REPOSITORY) == audit_log.AuditResult(3, 1)
    first, instruction, command = await audit_log.latest_events(connection, REPOSITORY, 1, 10)
    assert first.payload["weight"] == 2
    assert first.changes["status"] == [None, "ready"]
    assert (instruction.changes, command.changes["priority"]) == ({}, ["P2", "P0"])
    assert [event.type for event in await audit_log.latest_events(connection, REPOSITORY, 1, 1)] == [
        EventType.COMMAND_RUN
    ]


@pytest.mark.parametrize("change", ["UPDATE events SET actor = 'mallory'", "DELETE FROM events", "TRUNCATE events"])
async def test_the_database_refuses_to_change_it(connection: Any, change: str) -> None:
    await lived(connection)
    with pytest.raises(DBAPIError, match="the audit trail is append-only"):
        await connection.execute(text(change))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE events SET actor = 'mallory' WHERE seq = 2", "line 2 (instruction of #1) was changed"),
        ("UPDATE events SET payload = '{}' WHERE seq = 1", "line 1 (task_created of #1) was changed"),
        ("UPDATE events SET occurred_at = occurred_at + interval '1 ms' WHERE seq = 3", "line 3 (command_run of #1)"),
        ("DELETE FROM events WHERE seq = 2", "line 2 is missing: 3 follows"),
        ("DELETE FROM events WHERE seq = 3", "#1: `flags` is ['blocked'], but the audit log says None"),
        (
            "UPDATE tasks SET state = jsonb_set(state, '{priority}', '\"P1\"')",
            "#1: `priority` is 'P1', but the audit log",
        ),
        (
            "UPDATE events SET seq = seq + 1 WHERE seq >= 3; "
            "INSERT INTO events (repository_id, type, task, payload, occurred_at, seq, hash) "
            "SELECT repository_id, type, task, payload, occurred_at, 3, hash FROM events WHERE seq = 2",
            "line 3 (instruction of #1) was changed, or a line before it was removed or inserted",
        ),
    ],
)
async def test_changes_past_the_trigger_are_detected(connection: Any, change: str, problem: str) -> None:
    await lived(connection)
    await connection.execute(text("SET LOCAL session_replication_role = replica"))
    for one in change.split("; "):
        await connection.execute(text(one))
    found = await audit_log.verify(connection, REPOSITORY)
    assert any(problem in said for said in found.problems), found.problems


async def test_an_event_that_contradicts_the_previous_state_is_reported(connection: Any) -> None:
    await lived(connection)
    odd = replace(line(EventType.TASK_READY), changes={"status": ["pending", "done"]})
    await audit_log.append(connection, REPOSITORY, [odd])
    first, *_ = (await audit_log.verify(connection, REPOSITORY)).problems
    assert first == "line 4: #1: the entry says that `status` was 'pending', but it was 'ready'"


async def test_a_change_that_no_line_tells_of_gets_one() -> None:
    quiet = events_with_changes((), TASK, replace(TASK, status=Status.PENDING))
    assert [(event.type, event.changes) for event in quiet] == [
        (EventType.TASK_CHANGED, {"status": ["ready", "pending"]})
    ]
    assert events_with_changes((), TASK, TASK) == ()
