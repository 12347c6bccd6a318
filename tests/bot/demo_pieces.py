"""Tasks and moments for tests of the demo's picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bot.demo.monitor import AgentRow, Snapshot
from bot.demo.narration import AuditLine
from core.intake.parser import AcceptanceCriterion, ParsedIssue
from core.task.model import Actor, ChecksState, Kind, Lease, Priority, Pull, Status, Task

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ALICE = Actor(1, "alice")


def task(number: int, title: str, status: Status, **more: Any) -> Task:
    """A task as the database holds it."""
    base_task = Task(
        repository_id=1,
        repository="acme/shop",
        number=number,
        issue_id=100 + number,
        title=title,
        url=f"https://github.example/acme/shop/issues/{number}",
        author=ALICE,
        intake=ParsedIssue(goal="So be it.", criteria=(AcceptanceCriterion("It is so."),)),
        fingerprint="f",
        text_digest="d",
        issue_open=True,
        issue_updated_at=START,
        created_at=START,
        status=status,
        status_since=START,
        priority=Priority.P1,
        kind=Kind.FUNCTIONAL,
        kind_reason="because",
    )
    return replace(base_task, **more)


def lease(agent: str, number: int, attempt: int = 1) -> Lease:
    """The right of an agent to work."""
    return Lease(agent, attempt, f"task/{number}-{attempt}", START)


def pull(number: int, **more: Any) -> Pull:
    """An open pull request."""
    base_pull = Pull(
        number=number,
        attempt=1,
        branch="task/1-1",
        base="main",
        head_sha="a" * 40,
        url="https://github.example/pull",
        author=ALICE,
        updated_at=START,
        head_seen_at=START,
        checks=ChecksState.PENDING,
    )
    return replace(base_pull, **more)


def snapshot(*tasks: Task, audit_lines: tuple[AuditLine, ...] = (), expected: int | None = None) -> Snapshot:
    """A moment with two agents."""
    agents = (
        AgentRow("codex", ("python", "tests"), (2,), 3, 1),
        AgentRow("cursor", ("frontend",), (), 0, 0),
    )
    return Snapshot(12.34, len(tasks) if expected is None else expected, tasks, agents, audit_lines, 1)
