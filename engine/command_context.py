"""Loads what the rules of a command may know; what only one command needs is read for that command alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.database import (
    agents,
    attempts,
    audit_log,
    dead_letters,
    dependency_graph,
    open_pulls,
    repositories,
    store,
)
from config.task_templates import effective_templates
from core.assignment.queue import dependents_depth, sort_queue
from core.audit.events import ASSIGNMENTS
from core.conflicts.summary import blocking_pull
from core.decide import CommandContext
from core.decide.commands.queries import MAX_HISTORY_EVENTS
from core.intake.references import find_issue_references
from core.signals.base import CommandReceived
from core.task.model import Status, Task
from engine import retrospectives
from engine.session import Session

MAX_EXPLAINED_ATTEMPTS = 200  # of one task that `/explain` can show


async def command_context(session: Session, number: int, signal: CommandReceived) -> CommandContext:
    """Load what the rules of a command on the issue or task `number` may know."""
    connection, fields = await session.flushed_connection(), session.repository.id
    context = CommandContext(active_tasks=await agents.count_active_tasks(connection, fields))
    return replace(context, **await _fields(session, number, signal))


async def _fields(session: Session, number: int, command: CommandReceived) -> dict[str, Any]:
    """Fields of `CommandContext`, by the name of the command."""
    connection, repository_id = await session.flushed_connection(), session.repository.id
    match command.name:
        case "status":
            return {"dead_letters": await dead_letters.task_dead_letters(connection, repository_id, number)}
        case "history":
            limit = MAX_HISTORY_EVENTS + 1
            return {"recent_events": tuple(await audit_log.latest_events(connection, repository_id, number, limit))}
        case "explain" if command.argument.strip():
            events = await audit_log.latest_events(
                connection, repository_id, number, MAX_EXPLAINED_ATTEMPTS, ASSIGNMENTS
            )
            return {"recent_events": tuple(events)}
        case "agents":
            return {"measures": await attempts.team_stats(connection, repository_id, session.now)}
        case "task":
            return {"templates": effective_templates(await repositories.template_files(connection, repository_id))}
        case "conflicts":
            open_pulls_by_number = await open_pulls.list_open(connection, repository_id)
            pairs = await open_pulls.load_pairs(connection, repository_id)
            return {"open_pulls": tuple(open_pulls_by_number.values()), "pairs": tuple(pairs)}
        case "retro":
            return await retrospectives.load_command_fields(session, command)
        case "resolve":
            return {"referenced_tasks": await _referenced_tasks(session, number, command)}
        case "next":
            ready = await store.tasks_with_status(connection, repository_id, [Status.READY])
            queue = tuple(await _queue_with_depths(session, ready))
            return {"retrospective": await retrospectives.find_latest(session), "queue": queue}
    return {}


def referenced_issues(command: CommandReceived) -> tuple[str, ...]:
    """Return the references of the issues that a command about dependencies names."""
    if command.name == "resolve":
        return find_issue_references(command.argument)[0]
    return tuple(issue.reference for issue in command.referenced_issues.values() if issue)


async def _referenced_tasks(session: Session, number: int, command: CommandReceived) -> dict[str, Task]:
    """Load the tasks of this repository that a command names or implies: conflicting ones, and duplicates."""
    connection, repository_id = await session.flushed_connection(), session.repository.id
    resolver = await dependency_graph.ReferenceResolver.load(connection, session.repository)
    task = await session.load_task(number)
    implied: list[int] = []
    if task:
        duplicates = await dependency_graph.older_duplicates(connection, repository_id, number, task.fingerprint)
        implied = [*blocking_pull(task), *duplicates]
    tasks = {}
    for reference in (*referenced_issues(command), *(f"#{issue}" for issue in implied)):
        key = resolver.task_key(reference)
        if key and key[0] == repository_id and (other := await session.load_task(key[1])):
            tasks[reference] = other
    return tasks


async def _queue_with_depths(session: Session, tasks: list[Task]) -> list[tuple[Task, int]]:
    """Return those of the tasks that wait for an agent, in order, each with the depth of its dependents."""
    waiting = [task for task in tasks if session.needs_agent(task)]
    if not waiting:
        return []
    graph = await dependency_graph.load_open_graph(await session.flushed_connection(), session.repository.id)
    depths = dependents_depth(graph)
    return [(task, depths.get(task.number, 0)) for task in sort_queue(waiting, depths)]
