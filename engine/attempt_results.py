"""Reads from GitHub what an attempt left when it ends, in case the delivery about it is late or lost."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from adapters.agents.run_results import parse_run_result
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.convert import pull_facts
from adapters.github.models import PullRequest
from config.identities import agent_account_id
from core.intake.references import branch_name
from core.signals.base import PullSeen, Signal
from core.task.model import Lease, Role, Task
from engine.attribution import find_task


async def attempt_results(
    database: Database,
    github: GitHub,
    repository: RepositoryRow,
    task: Task,
    attempt: int,
    secrets: Sequence[SecretStr],
) -> Sequence[Signal]:
    """The pull requests from the branch of an attempt; or the answer of one that was to hand in words.

    `secrets` are those by which an answer is known as that of the attempt.
    """
    number, lease = task.number, task.find_lease(attempt)
    if lease is None or lease.role is Role.IMPLEMENT:
        branch = branch_name(number, attempt)
        owner = repository.full_name.partition("/")[0]
        pulls = await github.list_pulls(repository.full_name, state="all", head=f"{owner}:{branch}")
        # That these are what was asked for is looked at: whatever is taken for the attempt's becomes this task's.
        own_pulls = [pull for pull in pulls if pull.head.ref == branch and not pull.is_from_fork]
        if not own_pulls and lease is not None:
            own_pulls = await _pulls_by_account(database, github, repository, task, lease)
        return [PullSeen(pull_facts(pull), attempt, author_can_write=True) for pull in own_pulls]
    run_results = [
        parse_run_result(comment.body) for comment in await github.list_comments(repository.full_name, number)
    ]
    matching_results = [
        result for result in run_results if result and (result.number, result.attempt) == (number, attempt)
    ]
    return [result.signal for result in matching_results if result.is_genuine(secrets, repository.id)][:1]


async def _pulls_by_account(
    database: Database, github: GitHub, repository: RepositoryRow, task: Task, lease: Lease
) -> list[PullRequest]:
    """The open pull requests that the agent's own account opened since, where they belong to this task.

    An agent that works in its own way takes a branch of its own; it is recognised by the same rule as by its delivery.
    """
    spec = repository.agent(lease.worker) if lease.worker else None
    account = agent_account_id(lease.worker, spec) if lease.worker and spec else None
    if account is None:
        return []
    started_at = lease.since.replace(microsecond=0)  # as GitHub writes it
    pulls = []
    for pull in await github.list_pulls(repository.full_name, state="open"):
        if pull.user is None or pull.user.id != account or pull.created_at < started_at:
            continue
        if await find_task(database, repository, pull) == task.number:
            pulls.append(pull)
    return pulls
