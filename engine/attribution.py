"""Whose work a pull request is: the task it belongs to, and what it tells that task."""

from __future__ import annotations

from adapters.database import store
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.convert import pull_facts
from adapters.github.models import PullRequest
from config.identities import branch_issue_number
from core.intake.references import closing_references, parse_branch
from core.signals.base import PullSeen
from core.task.model import Status
from engine import issue_reader


def named_by(repository: RepositoryRow, told: PullRequest) -> tuple[int, ...]:
    """The issues that a pull request names as its own: by its branch and closing words; none of a fork."""
    if told.is_from_fork:
        return ()
    named: list[int] = []
    if branch := parse_branch(told.head.ref):
        named.append(branch[0])
    if issue := branch_issue_number(told.head.ref):
        named.append(issue)
    server_url = told.html_url.partition(f"/{repository.full_name}/")[0]  # full addresses of issues begin with it
    return (*named, *closing_references(told.body or "", repository.full_name, server_url))


async def task_of(database: Database, repository: RepositoryRow, told: PullRequest) -> int | None:
    """The task a pull request works on: by its branch, what we know of it, its closing words, or who opened it."""
    if told.is_from_fork:
        return None
    async with database.autocommit() as connection:
        linked = await store.task_of_pull(connection, repository.id, told.number)
        if linked is not None:
            return linked
        for number in named_by(repository, told):
            if await store.load_task(connection, repository.id, number):
                return number
        agents = issue_reader.workers_of(repository, told.user, told.head.ref)
        if not agents:
            return None
        at_work = await store.tasks_with_status(connection, repository.id, [Status.IN_PROGRESS])
    # An agent that works in its own way names neither; where it holds just one task, that is the one.
    held = [t.number for t in at_work if t.pull is None and t.lease and t.lease.worker in agents]
    return held[0] if len(held) == 1 else None


async def pull_seen(
    github: GitHub, repository: RepositoryRow, number: int, told: PullRequest, *, closed_by_us: bool = False
) -> PullSeen:
    """What the pull request tells the task `number`, which it belongs to."""
    branch = parse_branch(told.head.ref)
    attempt = branch[1] if branch and branch[0] == number else None
    trusted = attempt is not None or await _author_can_write(github, repository, told)
    workers = issue_reader.workers_of(repository, told.user, told.head.ref)
    return PullSeen(pull_facts(told), attempt, author_can_write=trusted, closed_by_us=closed_by_us, workers=workers)


async def _author_can_write(github: GitHub, repository: RepositoryRow, told: PullRequest) -> bool:
    """A bot that pushed to a branch of this repository has write access by that; people are asked about."""
    if told.user is not None and told.user.type == "Bot":
        return not told.is_from_fork
    return await issue_reader.can_write(github, repository.full_name, told.user)
