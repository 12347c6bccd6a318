"""What commands ask about: read for a command alone, and what only one of them needs for that one alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
from core.assignment.queue import dependents_depth, order
from core.audit.events import ASSIGNMENTS
from core.conflicts.summary import blocking_pull
from core.decide import CommandContext
from core.decide.commands.queries import MAX_HISTORY_EVENTS
from core.intake.references import references_in
from core.signals.base import CommandReceived
from core.task.model import Status, Task
from engine import retrospectives

if TYPE_CHECKING:
    from engine.unit_of_work import UnitOfWork

MAX_ATTEMPTS = 200  # of one task that `/explain` can tell of


async def command_context(unit: UnitOfWork, number: int, command: CommandReceived) -> CommandContext:
    """What the rules of a command on the issue or task `number` may know."""
    connection, repository_id = await unit.written(), unit.repository.id
    context = CommandContext(active_tasks=await agents.count_active_tasks(connection, repository_id))
    return replace(context, **await _fields(unit, number, command))


async def _fields(unit: UnitOfWork, number: int, command: CommandReceived) -> dict[str, Any]:
    """Fields of `CommandContext`, by the name of the command."""
    connection, repository_id = await unit.written(), unit.repository.id
    match command.name:
        case "status":
            return {"dead_letters": await dead_letters.task_dead_letters(connection, repository_id, number)}
        case "history":
            limit = MAX_HISTORY_EVENTS + 1
            return {"recent_events": tuple(await audit_log.latest_events(connection, repository_id, number, limit))}
        case "explain" if command.argument.strip():
            events = await audit_log.latest_events(connection, repository_id, number, MAX_ATTEMPTS, ASSIGNMENTS)
            return {"recent_events": tuple(events)}
        case "agents":
            return {"measures": await attempts.team_stats(connection, repository_id, unit.now)}
        case "task":
            return {"templates": effective_templates(await repositories.template_files(connection, repository_id))}
        case "conflicts":
            open_pulls_by_number = await open_pulls.list_open(connection, repository_id)
            pairs = await open_pulls.load_pairs(connection, repository_id)
            return {"open_pulls": tuple(open_pulls_by_number.values()), "pairs": tuple(pairs)}
        case "retro":
            return await retrospectives.command_fields(unit, command)
        case "resolve":
            return {"referenced_tasks": await _referenced_tasks(unit, number, command)}
        case "next":
            ready = await store.tasks_with_status(connection, repository_id, [Status.READY])
            queue = tuple(await _queue(unit, ready))
            return {"retrospective": await retrospectives.latest(unit), "queue": queue}
    return {}


def referenced_issues(command: CommandReceived) -> tuple[str, ...]:
    """The issues that a command about waiting names."""
    if command.name == "resolve":
        return references_in(command.argument)[0]
    return tuple(issue.reference for issue in command.issues.values() if issue)


async def _referenced_tasks(unit: UnitOfWork, number: int, command: CommandReceived) -> dict[str, Task]:
    """The tasks of this repository that a command names, or means: those in its own one's way, and its twins."""
    neighbours = await dependency_graph.ReferenceResolver.load(await unit.written(), unit.repository)
    task = await unit.task(number)
    twins = (
        await dependency_graph.older_duplicates(await unit.written(), unit.repository.id, number, task.fingerprint)
        if task
        else []
    )
    found = {}
    meant = (*blocking_pull(task), *twins) if task else ()
    for reference in (*referenced_issues(command), *(f"#{one}" for one in meant)):
        place = neighbours.task_key(reference)
        if place and place[0] == unit.repository.id and (other := await unit.task(place[1])):
            found[reference] = other
    return found


async def _queue(unit: UnitOfWork, tasks: list[Task]) -> list[tuple[Task, int]]:
    """Those of the tasks that wait for an agent, in order, each with the length of the chain behind it."""
    free = [t for t in tasks if unit.needs_agent(t)]
    if not free:
        return []
    behind = dependents_depth(await dependency_graph.load_open_graph(await unit.written(), unit.repository.id))
    return [(task, behind.get(task.number, 0)) for task in order(free, behind)]
