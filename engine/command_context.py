"""Loads what the rule of a command needs, as the registry of commands says."""

from __future__ import annotations

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
from core.decide.commands.base import SIGNAL_NEEDS, Need
from core.decide.commands.queries import MAX_HISTORY_EVENTS
from core.decide.commands.registry import needs_of_command
from core.intake.references import find_issue_references
from core.signals.base import CommandReceived
from core.task.model import Status, Task
from engine import retrospectives
from engine.session import Session

MAX_EXPLAINED_ATTEMPTS = 200  # of one task that `/explain` can show


async def command_context(session: Session, number: int, signal: CommandReceived) -> CommandContext:
    """Load what the rule of a command on the issue or task `number` needs."""
    needs = needs_of_command(signal.name) - SIGNAL_NEEDS
    return CommandContext(**{need.value: await _load(need, session, number, signal) for need in needs})


async def _load(need: Need, session: Session, number: int, command: CommandReceived) -> Any:
    """Load one field of `CommandContext`."""
    connection, repository_id = await session.flushed_connection(), session.repository.id
    match need:
        case Need.ACTIVE_TASKS:
            return await agents.count_active_tasks(connection, repository_id)
        case Need.ASSIGNMENTS if command.argument.strip():
            limit = MAX_EXPLAINED_ATTEMPTS
            return tuple(await audit_log.latest_events(connection, repository_id, number, limit, ASSIGNMENTS))
        case Need.ASSIGNMENTS:
            return ()
        case Need.DEAD_LETTERS:
            return await dead_letters.task_dead_letters(connection, repository_id, number)
        case Need.LATEST_RETROSPECTIVE:
            return await retrospectives.find_latest(session)
        case Need.MEASURES:
            return await attempts.team_stats(connection, repository_id, session.now)
        case Need.OPEN_PULLS:
            return tuple((await open_pulls.list_open(connection, repository_id)).values())
        case Need.PAIRS:
            return tuple(await open_pulls.load_pairs(connection, repository_id))
        case Need.QUEUE:
            ready = await store.tasks_with_status(connection, repository_id, [Status.READY])
            return tuple(await _queue_with_depths(session, ready))
        case Need.RECENT_EVENTS:
            return tuple(await audit_log.latest_events(connection, repository_id, number, MAX_HISTORY_EVENTS + 1))
        case Need.REFERENCED_TASKS:
            return await _referenced_tasks(session, number, command)
        case Need.RETROSPECTIVE:
            return await retrospectives.find_of_issue(session, command.number)
        case Need.RETROSPECTIVE_INPUT:
            return await retrospectives.load_command_input(session, command.argument)
        case Need.TEMPLATES:
            return effective_templates(await repositories.template_files(connection, repository_id))
    raise NotImplementedError(need)


def referenced_issues(command: CommandReceived) -> tuple[str, ...]:
    """Return the references of the issues that a command about dependencies names."""
    if Need.REFERENCED_TASKS in needs_of_command(command.name):
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
