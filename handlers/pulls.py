"""Pull requests: opened, pushed to, closed, merged."""

from __future__ import annotations

from adapters.database import open_pulls
from adapters.github.convert import pull_facts
from adapters.github.models import PullRequest, User
from core.signals.base import AgentSeen
from core.task.model import SessionState
from engine import conflicts
from engine.attribution import pull_seen
from engine.config_sync import check_configuration
from handlers.context import Delivery, Desk
from handlers.ensure_task import task_meant

# What may show another file than before; a draft that is ready shows the same.
_NEW_CONTENT = frozenset({"opened", "edited", "reopened", "synchronize"})


async def pull(delivery: Delivery, desk: Desk) -> None:
    """A pull request changed."""
    repository = await desk.repository(delivery)
    if repository is None:
        return
    told = PullRequest.model_validate(delivery.payload["pull_request"])
    if delivery.action in _NEW_CONTENT:
        await check_configuration(desk.work, desk.github(repository), repository.id, repository.full_name, told)
    if repository.config is None:
        return
    sender = User.model_validate(delivery.payload["sender"])
    number = await task_meant(desk, repository, told)
    async with desk.work.database.autocommit() as connection:
        known = await open_pulls.updated_at(connection, repository.id, told.number)
    if known == told.updated_at and delivery.action != "closed":
        # Two pushes in one second cannot be told apart by their time; GitHub knows which was the last.
        told = await desk.github(repository).get_pull(repository.full_name, told.number)
    if number is None:
        # Nobody's task, but it is compared with those that are.
        async with desk.work.on(repository.id, delivery.received_at) as unit:
            await conflicts.saw(unit, pull_facts(told), None)
        return
    ours = delivery.action == "closed" and await desk.is_us(repository, sender)
    signal = await pull_seen(desk.github(repository), repository, number, told, closed_by_us=ours)
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        task = (await unit.apply(number, signal)).task
        carries = task is not None and task.pull is not None and task.pull.number == told.number
        if delivery.action == "review_requested" and signal.workers and carries and task and task.lease:
            # So an agent says that it has ended, which may not take the draft mark off itself.
            await unit.apply(number, AgentSeen(task.lease.attempt, SessionState.DELIVERED, told.updated_at))
