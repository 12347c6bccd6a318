"""Holds retrospectives when they are due, and keeps their issues, answers and action items up to date."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import retrospectives as rows
from adapters.database import tables as t
from adapters.database.codec import task_from_json
from adapters.database.repositories import RepositoryRow
from config.agent_kinds import MentionAgent
from core.audit.events import Event, EventType
from core.effects.base import Comment, OpenTask, PublishRetrospective
from core.retro.model import (
    MAX_NEXT_TASKS,
    MAX_TASKS,
    SCHEDULED_PREFIX,
    NextTask,
    Retrospective,
    RetrospectiveInput,
    RetrospectiveOpened,
    build_retrospective,
    parse_since,
)
from core.task.deadlines import DeadlineTarget, TargetKind
from core.task.model import Actor
from core.texts.retrospective import question_comment
from engine.session import Session

log = structlog.get_logger()

RETROSPECTIVE = "retrospective"  # the kind of the deadline that checks whether a retrospective is due


async def load_input(
    connection: AsyncConnection, repository: RepositoryRow, since: datetime | None = None
) -> RetrospectiveInput:
    """Load what was done since the last retrospective, or after `since`."""
    last_event_id = await rows.last_event_id(connection, repository.id, since)
    completed = await rows.completed_after(connection, repository.id, last_event_id)
    if not completed:
        return RetrospectiveInput()
    numbers = completed[-MAX_TASKS:]
    previous = await rows.find_latest(connection, repository.id)
    trails = await rows.events_by_task(connection, repository.id, numbers, last_event_id)
    return RetrospectiveInput(
        events_by_task={number: trails[number] for number in numbers},
        next_tasks=await _load_upcoming(connection, repository.id),
        mentions={
            name: spec.mention for name, spec in repository.team.all_agents.items() if isinstance(spec, MentionAgent)
        },
        titles=await rows.task_titles(connection, repository.id, numbers),
        previous_cycle_time=previous.median_cycle_time if previous else None,
        omitted_count=len(completed) - len(numbers),
    )


async def _load_upcoming(connection: AsyncConnection, repository_id: int) -> tuple[NextTask, ...]:
    """Load the head of the queue, in its order."""
    c = t.tasks.c
    query = (
        select(c.state)
        .where(c.repository_id == repository_id, t.in_queue)
        .order_by(c.priority, c.dependents_depth.desc(), c.created_at, c.number)
        .limit(MAX_NEXT_TASKS)
    )
    tasks = [task_from_json(state) for state in (await connection.execute(query)).scalars()]
    return tuple(NextTask(task.number, task.title, task.priority.value) for task in tasks)


async def load_command_input(session: Session, argument: str) -> RetrospectiveInput:
    """Load what `/retro` with this argument evaluates; nothing if the argument names no time."""
    try:
        since = parse_since(argument, session.now)
    except ValueError:
        return RetrospectiveInput()  # an answer to a question, or an error that the rule reports
    return await load_input(await session.flushed_connection(), session.repository, since)


async def find_of_issue(session: Session, number: int) -> Retrospective | None:
    """Load the retrospective with this issue, or the last one."""
    connection = await session.flushed_connection()
    return await rows.find_by_number(connection, session.repository.id, number) or await find_latest(session)


async def find_latest(session: Session) -> Retrospective | None:
    """Load the last retrospective."""
    return await rows.find_latest(await session.flushed_connection(), session.repository.id)


def schedule_check(session: Session) -> None:
    """Schedule a check whether a retrospective is due, after a task was completed.

    The check runs in a transaction of its own, so that its errors cannot keep a task from being completed.
    """
    if session.policy.retrospective.after_tasks:
        session.set_deadline(DeadlineTarget(TargetKind.RETROSPECTIVE), RETROSPECTIVE, session.now)


async def hold_if_due(session: Session) -> Retrospective | None:
    """Hold the next retrospective if it is due, and return it."""
    after_tasks = session.policy.retrospective.after_tasks
    if not after_tasks:
        return None
    connection, repository = await session.flushed_connection(), session.repository
    last_event_id = await rows.last_event_id(connection, repository.id)
    completed = await rows.completed_after(connection, repository.id, last_event_id)
    if len(completed) < after_tasks:
        return None
    if session.policy.dry_run:
        log.info("retrospective_skipped", repository=repository.full_name, done=len(completed), reason="dry run")
        return None
    retrospective = build_retrospective(
        await load_input(connection, repository), f"{SCHEDULED_PREFIX}{last_event_id}", session.now
    )
    if retrospective:
        await save_retrospective(session, retrospective)
    return retrospective


async def save_retrospective(session: Session, retrospective: Retrospective) -> None:
    """Save a retrospective, and enqueue the update of its issue."""
    await rows.save(await session.flushed_connection(), session.repository.id, retrospective)
    await session.enqueue_effects(0, PublishRetrospective(retrospective.key))


async def record_opened_issue(session: Session, report: RetrospectiveOpened) -> None:
    """Save the number of an issue that was opened; below a retrospective's own issue, ask its questions."""
    connection, repository_id = await session.flushed_connection(), session.repository.id
    retrospective = await rows.find_by_key(connection, repository_id, report.retrospective)
    if retrospective is None:
        return
    if report.action:
        await save_retrospective(session, retrospective.with_task(report.action, report.number))
        return
    if retrospective.number is not None:
        return
    await rows.save(connection, repository_id, replace(retrospective, number=report.number))
    payload = {"tasks": [task.number for task in retrospective.tasks], "key": retrospective.key}
    event = Event(
        EventType.RETROSPECTIVE_HELD, report.number, session.now, actor=retrospective.requested_by, payload=payload
    )
    session.record_events(event)
    for question in retrospective.questions:
        if question.mention:
            comment = Comment(report.number, f"question:{question.agent}", question_comment(question))
            await session.enqueue_effects(report.number, comment)


async def open_ticked_tasks(session: Session, number: int, items: Collection[str], actor: Actor) -> None:
    """Open the tasks of the action items that a person with write access ticked in a retrospective's issue."""
    retrospective = await rows.find_by_number(await session.flushed_connection(), session.repository.id, number)
    if retrospective is None or session.policy.dry_run:
        return
    ticked = [
        action.id
        for action in retrospective.actions
        if action.id in items and action.task_number is None and action.ticked_by is None
    ]
    if not ticked:
        return
    await save_retrospective(session, retrospective.with_ticked(ticked, actor.login))
    await session.enqueue_effects(0, *(OpenTask(retrospective.key, action, actor) for action in ticked))


async def save_answer(session: Session, number: int, agents: Collection[str], text: str, login: str) -> None:
    """Save the comment of an agent's account below a retrospective as its answer, if the agent was asked."""
    retrospective = await rows.find_by_number(await session.flushed_connection(), session.repository.id, number)
    if retrospective is None:
        return
    agent = next((question.agent for question in retrospective.questions if question.agent in agents), None)
    answered = retrospective.with_answer(agent, text, login) if agent else None
    if answered and answered != retrospective:
        await save_retrospective(session, answered)
