"""Retrospectives: when the next one is due, what it looks at, and what becomes of its issue and its action items."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import retrospectives as kept
from adapters.database import tables as t
from adapters.database.codec import task_from_json
from adapters.database.repositories import RepositoryRow
from config.agent_kinds import MentionAgent
from core.audit.events import Event, EventType
from core.effects.base import Comment, OpenTask, PublishRetrospective
from core.retro.model import MOST_TASKS, NEXT, TURN, NextTask, Retrospective, RetrospectiveInput, hold, read_since
from core.signals.base import CommandReceived
from core.task.model import Actor
from core.texts.retrospective import question_comment

if TYPE_CHECKING:
    from engine.unit_of_work import UnitOfWork

log = structlog.get_logger()

RETROSPECTIVE = "retrospective"  # the subject and kind of the deadline that looks whether one is due


@dataclass(frozen=True, slots=True)
class Opened:
    """An issue that was opened for a retrospective: its own, or the task that one of its action items became."""

    retrospective: str
    number: int
    action: str = ""


async def gather(
    connection: AsyncConnection, repository: RepositoryRow, since: datetime | None = None
) -> RetrospectiveInput:
    """What was done since the last retrospective, or after `since`."""
    place = await kept.last_event_id(connection, repository.id, since)
    done = await kept.completed_after(connection, repository.id, place)
    if not done:
        return RetrospectiveInput()
    numbers = done[-MOST_TASKS:]
    before = await kept.find_latest(connection, repository.id)
    trails = await kept.events_by_task(connection, repository.id, numbers, place)
    return RetrospectiveInput(
        trails={number: trails[number] for number in numbers},
        upcoming=await _upcoming(connection, repository.id),
        mentions={
            name: spec.mention for name, spec in repository.team.all_agents.items() if isinstance(spec, MentionAgent)
        },
        titles=await kept.task_titles(connection, repository.id, numbers),
        cycle_before=before.cycle if before else None,
        left_out=len(done) - len(numbers),
    )


async def _upcoming(connection: AsyncConnection, repository_id: int) -> tuple[NextTask, ...]:
    """The head of the queue, in its order."""
    c = t.tasks.c
    query = (
        select(c.state)
        .where(c.repository_id == repository_id, c.queued)
        .order_by(c.priority, c.behind.desc(), c.created_at, c.number)
        .limit(NEXT)
    )
    tasks = [task_from_json(state) for state in (await connection.execute(query)).scalars()]
    return tuple(NextTask(task.number, task.title, task.priority.value) for task in tasks)


async def command_fields(unit: UnitOfWork, command: CommandReceived) -> dict[str, Any]:
    """What `/retro` needs: fields of `CommandContext`."""
    connection, repository_id = await unit.written(), unit.repository.id
    retrospective = await kept.find_by_number(connection, repository_id, command.number)
    fields: dict[str, Any] = {"retrospective": retrospective or await kept.find_latest(connection, repository_id)}
    try:
        since = read_since(command.argument, unit.now)
    except ValueError:
        return fields  # an answer to a question, or an error: the rule says so
    return {**fields, "retrospective_input": await gather(connection, unit.repository, since)}


async def latest(unit: UnitOfWork) -> Retrospective | None:
    """The last that was held."""
    return await kept.find_latest(await unit.written(), unit.repository.id)


def done(unit: UnitOfWork) -> None:
    """A task is done. Whether it is a retrospective's turn is looked at in a transaction of its own.

    Nothing that goes wrong there may keep a task from being done.
    """
    if unit.policy.retrospective.after_tasks:
        unit.set_deadline(RETROSPECTIVE, RETROSPECTIVE, unit.now)


async def look(unit: UnitOfWork) -> Retrospective | None:
    """Hold the next one if it is its turn; gives it."""
    every = unit.policy.retrospective.after_tasks
    if not every:
        return None
    place = await kept.last_event_id(await unit.written(), unit.repository.id)
    done = await kept.completed_after(await unit.written(), unit.repository.id, place)
    if len(done) < every:
        return None
    if unit.policy.dry_run:
        log.info("retrospective_skipped", repository=unit.repository.full_name, done=len(done), reason="dry run")
        return None
    held = hold(await gather(await unit.written(), unit.repository), f"{TURN}{place}", unit.now)
    if held:
        await keep(unit, held)
    return held


async def keep(unit: UnitOfWork, held: Retrospective) -> None:
    """Write it, and let its issue show it."""
    await kept.save(await unit.written(), unit.repository.id, held)
    await unit.enqueue_effects(0, PublishRetrospective(held.key))


async def opened(unit: UnitOfWork, news: Opened) -> None:
    """An issue is there: it is remembered, and of a retrospective's own the agents that can be called are asked."""
    held = await kept.find_by_key(await unit.written(), unit.repository.id, news.retrospective)
    if held is None:
        return
    if news.action:
        await keep(unit, held.with_task(news.action, news.number))
        return
    if held.number is not None:
        return
    await kept.save(await unit.written(), unit.repository.id, replace(held, number=news.number))
    payload = {"tasks": [task.number for task in held.tasks], "key": held.key}
    unit.record_events(Event(EventType.RETROSPECTIVE_HELD, news.number, unit.now, actor=held.by, payload=payload))
    for question in held.questions:
        if question.mention:
            text = question_comment(question)
            await unit.enqueue_effects(news.number, Comment(news.number, f"question:{question.agent}", text))


async def tick(unit: UnitOfWork, number: int, items: Collection[str], by: Actor) -> None:
    """Somebody with write access ticked these action items in the issue of a retrospective: they become tasks."""
    held = await kept.find_by_number(await unit.written(), unit.repository.id, number)
    if held is None or unit.policy.dry_run:
        return
    wanted = [a.id for a in held.actions if a.id in items and a.task is None and a.ticked_by is None]
    if not wanted:
        return
    await keep(unit, held.ticked(wanted, by.login))
    await unit.enqueue_effects(0, *(OpenTask(held.key, action, by) for action in wanted))


async def answer(unit: UnitOfWork, number: int, agents: Collection[str], text: str, by: str) -> None:
    """An agent's account said something below a retrospective: its answer, where it was asked."""
    held = await kept.find_by_number(await unit.written(), unit.repository.id, number)
    asked = next((question.agent for question in held.questions if question.agent in agents), None) if held else None
    answered = held.answered(asked, text, by) if held and asked else None
    if answered and answered != held:
        await keep(unit, answered)
