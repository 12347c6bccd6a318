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


def claimed_issues(repository: RepositoryRow, pull: PullRequest) -> tuple[int, ...]:
    """The issues that a pull request names as its own: by its branch and closing words; none of a fork."""
    if pull.is_from_fork:
        return ()
    numbers: list[int] = []
    if branch := parse_branch(pull.head.ref):
        numbers.append(branch[0])
    if issue := branch_issue_number(pull.head.ref):
        numbers.append(issue)
    server_url = pull.html_url.partition(f"/{repository.full_name}/")[0]  # full addresses of issues begin with it
    return (*numbers, *closing_references(pull.body or "", repository.full_name, server_url))


async def find_task(database: Database, repository: RepositoryRow, pull: PullRequest) -> int | None:
    """The task a pull request works on: by its branch, what we know of it, its closing words, or who opened it."""
    if pull.is_from_fork:
        return None
    async with database.autocommit() as connection:
        linked_number = await store.task_of_pull(connection, repository.id, pull.number)
        if linked_number is not None:
            return linked_number
        for number in claimed_issues(repository, pull):
            if await store.load_task(connection, repository.id, number):
                return number
        agent_names = issue_reader.agents_of_user(repository, pull.user, pull.head.ref)
        if not agent_names:
            return None
        active_tasks = await store.tasks_with_status(connection, repository.id, [Status.IN_PROGRESS])
    # An agent that works in its own way names neither; where it holds just one task, that is the one.
    numbers = [t.number for t in active_tasks if t.pull is None and t.lease and t.lease.worker in agent_names]
    return numbers[0] if len(numbers) == 1 else None


async def read_pull_seen(
    github: GitHub, repository: RepositoryRow, number: int, pull: PullRequest, *, closed_by_us: bool = False
) -> PullSeen:
    """What the pull request tells the task `number`, which it belongs to."""
    branch = parse_branch(pull.head.ref)
    attempt = branch[1] if branch and branch[0] == number else None
    author_can_write = attempt is not None or await _author_can_write(github, repository, pull)
    agent_names = issue_reader.agents_of_user(repository, pull.user, pull.head.ref)
    return PullSeen(
        pull_facts(pull), attempt, author_can_write=author_can_write, closed_by_us=closed_by_us, agent_names=agent_names
    )


async def _author_can_write(github: GitHub, repository: RepositoryRow, pull: PullRequest) -> bool:
    """A bot that pushed to a branch of this repository has write access by that; people are asked about."""
    if pull.user is not None and pull.user.type == "Bot":
        return not pull.is_from_fork
    return await issue_reader.can_write(github, repository.full_name, pull.user)
