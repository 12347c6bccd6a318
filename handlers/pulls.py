"""Pull requests: opened, pushed to, closed, merged."""

from __future__ import annotations

from adapters import comparing, gather
from adapters.configuration import check_configuration
from adapters.database import flights, store
from adapters.database.repositories import RepositoryRow
from adapters.github.models import PullRequest, User
from adapters.pull_facts import pull_facts
from config.identities import issue_in_branch
from core.links import closing_references, parse_branch
from core.signals import AgentSeen, PullSeen
from core.task import SessionState, Status
from handlers.desk import Delivery, Desk

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
    number = await task_of(desk, repository, told)
    async with desk.work.database.autocommit() as connection:
        known = await flights.updated_at(connection, repository.id, told.number)
    if known == told.updated_at and delivery.action != "closed":
        # Two pushes in one second cannot be told apart by their time; GitHub knows which was the last.
        told = await desk.github(repository).get_pull(repository.full_name, told.number)
    if number is None:
        # Nobody's task, but it is compared with those that are.
        async with desk.work.on(repository.id, delivery.received_at) as unit:
            await comparing.saw(unit, pull_facts(told), None)
        return
    branch = parse_branch(told.head.ref)
    attempt = branch[1] if branch and branch[0] == number else None
    trusted = attempt is not None or await _author_can_write(desk, repository, told)
    signal = PullSeen(
        pull_facts(told),
        attempt,
        author_can_write=trusted,
        closed_by_us=delivery.action == "closed" and await desk.is_us(repository, sender),
        workers=gather.workers_of(repository, told.user, told.head.ref),
    )
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        task = (await unit.apply(number, signal)).task
        carries = task is not None and task.pull is not None and task.pull.number == told.number
        if delivery.action == "review_requested" and signal.workers and carries and task and task.lease:
            # So an agent says that it has ended, which may not take the draft mark off itself.
            await unit.apply(number, AgentSeen(task.lease.attempt, SessionState.DELIVERED, told.updated_at))


async def _author_can_write(desk: Desk, repository: RepositoryRow, told: PullRequest) -> bool:
    """A bot that pushed to a branch of this repository has write access by that; people are asked about."""
    if told.user is not None and told.user.type == "Bot":
        return not told.from_fork
    return await gather.can_write(desk.github(repository), repository.full_name, told.user)


async def task_of(desk: Desk, repository: RepositoryRow, told: PullRequest) -> int | None:
    """The task a pull request works on: by its branch, what we know of it, its closing words, or who opened it."""
    if told.from_fork:
        return None
    named: list[int] = []
    if branch := parse_branch(told.head.ref):
        named.append(branch[0])
    if issue := issue_in_branch(told.head.ref):
        named.append(issue)
    async with desk.work.database.autocommit() as connection:
        linked = await store.task_of_pull(connection, repository.id, told.number)
        if linked is not None:
            return linked
        named += closing_references(told.body or "", repository.full_name, desk.server_url)
        for number in named:
            if await store.task(connection, repository.id, number):
                return number
        agents = gather.workers_of(repository, told.user, told.head.ref)
        if not agents:
            return None
        at_work = await store.tasks_with_status(connection, repository.id, [Status.IN_PROGRESS])
    # An agent that works in its own way names neither; where it holds just one task, that is the one.
    held = [t.number for t in at_work if t.pull is None and t.lease and t.lease.worker in agents]
    return held[0] if len(held) == 1 else None
