"""What commands ask about: read for a command alone, and what only one of them needs for that one alone."""

from __future__ import annotations

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
from config.task_templates import in_force
from core.assignment.queue import chain_lengths, order
from core.audit.events import ASSIGNMENTS
from core.conflicts.summary import behind_which
from core.decide.commands.queries import HISTORY_LINES
from core.intake.references import references_in
from core.signals.base import CommandGiven, DeadlineDue, Signal
from core.task.deadlines import DeadlineKind
from core.task.model import Status, Task
from engine import retrospectives

if TYPE_CHECKING:
    from engine.unit_of_work import UnitOfWork

MAX_ATTEMPTS = 200  # of one task that `/explain` can tell of


async def asked_about(unit: UnitOfWork, number: int, command: Signal) -> dict[str, Any]:
    """Fields of `Context` for a command that was given on the issue `number`; none for most other signals."""
    if isinstance(command, DeadlineDue) and command.kind in (DeadlineKind.QUEUE, DeadlineKind.STALL):
        return {"agents": tuple(await unit.agents())}  # the task asks itself, as it were, who could take it
    if not isinstance(command, CommandGiven):
        return {}
    await unit.write_trail()  # so that it is read to its end
    connection, repository_id = await unit.written(), unit.repository.id
    found: dict[str, Any] = {
        "agents": tuple(await unit.agents()),
        "in_hand": await agents.holdings(connection, repository_id),
    }
    match command.name:
        case "status":
            found["given_up"] = await dead_letters.of_task(connection, repository_id, number)
        case "history":
            found["trail"] = tuple(await audit_log.last(connection, repository_id, number, HISTORY_LINES + 1))
        case "explain" if command.argument.strip():
            found["trail"] = tuple(await audit_log.last(connection, repository_id, number, MAX_ATTEMPTS, ASSIGNMENTS))
        case "agents":
            found["measures"] = await attempts.of_team(connection, repository_id, unit.now)
        case "task":
            found["templates"] = in_force(await repositories.template_files(connection, repository_id))
        case "conflicts":
            there = await open_pulls.in_flight(connection, repository_id)
            found["flights"] = tuple(there.values())
            found["pairs"] = tuple(await open_pulls.pairs(connection, repository_id))
        case "retro":
            found |= await retrospectives.asked_about(unit, command)
        case "resolve":
            found["named"] = await _named(unit, number, command)
        case "next":
            ready = await store.tasks_with_status(connection, repository_id, [Status.READY])
            found["retrospective"] = await retrospectives.latest(unit)
            found["queue"] = tuple(await _queue(unit, ready))
    return found


def named_in(command: CommandGiven) -> tuple[str, ...]:
    """The issues that a command about waiting names."""
    if command.name == "resolve":
        return references_in(command.argument)[0]
    return tuple(issue.reference for issue in command.issues.values() if issue)


async def _named(unit: UnitOfWork, number: int, command: CommandGiven) -> dict[str, Task]:
    """The tasks of this repository that a command names, or means: those in its own one's way, and its twins."""
    neighbours = await dependency_graph.Neighbours.of(await unit.written(), unit.repository)
    task = await unit.task(number)
    twins = (
        await dependency_graph.older_twins(await unit.written(), unit.repository.id, number, task.fingerprint)
        if task
        else []
    )
    found = {}
    meant = (*behind_which(task), *twins) if task else ()
    for reference in (*named_in(command), *(f"#{one}" for one in meant)):
        place = neighbours.place(reference)
        if place and place[0] == unit.repository.id and (other := await unit.task(place[1])):
            found[reference] = other
    return found


async def _queue(unit: UnitOfWork, tasks: list[Task]) -> list[tuple[Task, int]]:
    """Those of the tasks that wait for an agent, in order, each with the length of the chain behind it."""
    free = [t for t in tasks if unit.waits_for_an_agent(t)]
    if not free:
        return []
    behind = chain_lengths(await dependency_graph.open_graph(await unit.written(), unit.repository.id))
    return [(task, behind.get(task.number, 0)) for task in order(free, behind)]
