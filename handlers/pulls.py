"""Handles pull requests: opened, pushed to, closed, merged."""

from __future__ import annotations

from adapters.database import open_pulls
from adapters.github.convert import pull_facts
from adapters.github.models import PullRequest, User
from core.signals.base import AgentSeen
from core.task.model import SessionState
from engine import conflicts
from engine.attribution import read_pull_seen
from engine.config_sync import check_config_pull
from handlers.context import Delivery, HandlerContext
from handlers.ensure_task import resolve_task

# Actions that may change the files; marking a draft as ready does not.
_NEW_CONTENT = frozenset({"opened", "edited", "reopened", "synchronize"})


async def on_pull_request(delivery: Delivery, context: HandlerContext) -> None:
    """A pull request changed."""
    repository = await context.repository(delivery)
    if repository is None:
        return
    pull = PullRequest.model_validate(delivery.payload["pull_request"])
    if delivery.action in _NEW_CONTENT:
        await check_config_pull(context.work, context.github(repository), repository.id, repository.full_name, pull)
    if repository.config is None:
        return
    sender = User.model_validate(delivery.payload["sender"])
    number = await resolve_task(context, repository, pull)
    async with context.work.database.autocommit() as connection:
        updated_at = await open_pulls.updated_at(connection, repository.id, pull.number)
    if updated_at == pull.updated_at and delivery.action != "closed":
        # Two pushes in one second cannot be ordered by time; GitHub knows which was the last.
        pull = await context.github(repository).get_pull(repository.full_name, pull.number)
    if number is None:
        # It has no task, but it is compared with pull requests that have one.
        async with context.work.begin(repository.id, delivery.received_at) as unit:
            await unit.apply_all(await conflicts.save_pull(unit.session, pull_facts(pull), None))
        return
    is_closed_by_us = delivery.action == "closed" and await context.is_own_user(repository, sender)
    signal = await read_pull_seen(context.github(repository), repository, number, pull, closed_by_us=is_closed_by_us)
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        task = (await unit.apply(number, signal)).task
        is_task_pull = task is not None and task.pull is not None and task.pull.number == pull.number
        if delivery.action == "review_requested" and signal.agent_names and is_task_pull and task and task.lease:
            # An agent that cannot mark its draft as ready reports the end of its work this way.
            await unit.apply(number, AgentSeen(task.lease.attempt, SessionState.DELIVERED, pull.updated_at))
