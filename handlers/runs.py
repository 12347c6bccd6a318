"""Workflow runs that carry an agent's attempt. Those of CI are heard of by their check suites."""

from __future__ import annotations

from adapters.agents.actions import identify, news_of
from adapters.agents.answers import Answer, read_answer
from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.models import WorkflowRun
from adapters.pull_facts import pull_facts
from core.links import branch_name
from core.signals import PullSeen
from core.task import Role
from handlers.desk import Delivery, Desk


async def run(delivery: Delivery, desk: Desk) -> None:
    """A workflow run was requested, began, or ended."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    told = WorkflowRun.model_validate(delivery.payload["workflow_run"])
    named = identify(told)
    if named is None:
        return
    number, attempt = named
    async with desk.work.database.autocommit() as connection:
        task = await store.task(connection, repository.id, number)
    if task is None:
        return
    lease = task.lease_of(attempt)
    pulls: list[PullSeen] = []
    answers: list[Answer] = []
    if told.status == "completed" and lease and lease.role is not Role.IMPLEMENT:
        # The news of its comment may still be on its way, or lost.
        said = await desk.github(repository).list_comments(repository.full_name, number)
        found = [answer for comment in said if (answer := read_answer(comment.body))]
        answers = [a for a in found if (a.number, a.attempt) == named and a.is_genuine(desk.answers, repository.id)]
    elif told.status == "completed":
        # The news of its pull request may still be on its way; an attempt must not fail for that.
        pulls = await handed_in(desk.github(repository), repository, number, attempt)
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        for pull in pulls:
            await unit.apply(number, pull)
        for answer in answers[:1]:
            await unit.apply(number, answer.signal)
        await unit.apply(number, news_of(told, attempt))


async def handed_in(github: GitHub, repository: RepositoryRow, number: int, attempt: int) -> list[PullSeen]:
    """The pull requests from the branch of an attempt, read from GitHub."""
    owner = repository.full_name.split("/")[0]
    found = await github.list_pulls(repository.full_name, state="all", head=f"{owner}:{branch_name(number, attempt)}")
    return [PullSeen(pull_facts(pull), attempt, author_can_write=True) for pull in found]
