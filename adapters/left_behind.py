"""What an attempt has left on GitHub when it ends. The news of it may be late, or lost: nobody is to fail for that."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from adapters.agents.answers import read_answer
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.pull_facts import pull_facts
from core.links import branch_name
from core.signals import PullSeen, Signal
from core.task import Role, Task


async def left_behind(
    github: GitHub, repository: RepositoryRow, task: Task, attempt: int, secrets: Sequence[SecretStr]
) -> Sequence[Signal]:
    """The pull requests from the branch of an attempt; or the answer of one that was to hand in words.

    `secrets` are those by which an answer is known as that of the attempt.
    """
    number, lease = task.number, task.lease_of(attempt)
    if lease is None or lease.role is Role.IMPLEMENT:
        branch = branch_name(number, attempt)
        owner = repository.full_name.partition("/")[0]
        found = await github.list_pulls(repository.full_name, state="all", head=f"{owner}:{branch}")
        # That these are what was asked for is looked at: whatever is taken for the attempt's becomes this task's.
        ours = [pull for pull in found if pull.head.ref == branch and not pull.from_fork]
        return [PullSeen(pull_facts(pull), attempt, author_can_write=True) for pull in ours]
    said = [read_answer(comment.body) for comment in await github.list_comments(repository.full_name, number)]
    answers = [one for one in said if one and (one.number, one.attempt) == (number, attempt)]
    return [one.signal for one in answers if one.is_genuine(secrets, repository.id)][:1]
