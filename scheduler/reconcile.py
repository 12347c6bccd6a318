"""The reconciler: GitHub against the database. What no delivery told us is found here."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import structlog

from adapters import comparing, gather
from adapters.configuration import read_configuration
from adapters.database import flights, line, repositories, store
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.errors import NotFound
from adapters.github.models import Issue, PullRequest
from adapters.pull_facts import pull_facts
from adapters.unit_of_work import Work
from core.effects import CompareBranches, ReadChecks, RefreshMirror, SetLabels
from core.labels import TASK, labels_of
from core.links import parse_branch
from core.signals import PullSeen
from core.task import ChecksState, Status, Task

log = structlog.get_logger()

RECONCILE_EVERY = timedelta(minutes=15)


async def reconcile(work: Work, github: GitHub, row: RepositoryRow) -> None:
    """Read the repository's configuration, its tasks and their pull requests, and take in what differs."""
    await read_configuration(work, github, row.id, row.full_name)
    async with work.database.autocommit() as connection:
        fresh = await repositories.repository(connection, row.id)
        if fresh is None or fresh.config is None:
            return
        open_tasks = await store.tasks_with_status(connection, row.id, [s for s in Status if s is not Status.DONE])
        digest = await store.digest_issue(connection, row.id)
    listed_issues = await github.list_issues(row.full_name, labels=[TASK])
    issues = {i.number: i for i in listed_issues if not i.is_pull_request and i.number != digest}
    for task in open_tasks:
        if task.number not in issues:
            # No longer listed: closed, no longer labelled, or moved. Its own page says which.
            issues[task.number] = await github.get_issue(row.full_name, task.number)
    for issue in sorted(issues.values(), key=lambda i: i.number):
        await _issue(work, github, fresh, issue)
    pulls = await github.list_pulls(row.full_name)
    for pull in pulls:
        await _pull(work, fresh, pull)
    listed = {pull.number for pull in pulls}
    for task in open_tasks:
        if task.pull and task.pull.open and task.pull.number not in listed:
            await _pull(work, fresh, await github.get_pull(row.full_name, task.pull.number))
    await _review(work, fresh)
    await _compare(work, github, fresh, listed)
    async with work.on(row.id) as unit:  # under its lock: nobody changes a dependency meanwhile
        await line.renew_chains(unit.connection, row.id)
    log.info("reconciled", repository=row.full_name, issues=len(issues), pulls=len(pulls))


async def _issue(work: Work, github: GitHub, row: RepositoryRow, issue: Issue) -> None:
    async with work.database.autocommit() as connection:
        before = await store.task(connection, row.id, issue.number)
    author = issue.user
    writer = author is not None and before is None and await gather.can_write(github, row.full_name, author)
    # A text that nobody has judged yet is judged by who wrote the issue; a known one keeps its approval.
    signal = await gather.issue_seen(
        work.database,
        github,
        row,
        issue,
        work.foresight,
        sender=author if before is None else None,
        sender_can_write=writer,
    )
    async with work.on(row.id) as unit:
        decision = await unit.apply(issue.number, signal)
        task = decision.task
        if task and not task.withdrawn and _labels_differ(task, issue):
            await unit.want(issue.number, SetLabels(issue.number, labels_of(task)))


def _labels_differ(task: Task, issue: Issue) -> bool:
    return not set(labels_of(task)) <= set(issue.label_names)


async def _pull(work: Work, row: RepositoryRow, pull: PullRequest) -> None:
    branch = parse_branch(pull.head.ref)
    async with work.on(row.id) as unit:
        number = await store.task_of_pull(unit.connection, row.id, pull.number)
        if number is None and branch and not pull.from_fork:
            number = branch[0]
        if number is None or await unit.task(number) is None:
            await comparing.saw(unit, pull_facts(pull), None)
            return
        attempt = branch[1] if branch and branch[0] == number else None
        await unit.apply(number, PullSeen(pull_facts(pull), attempt, author_can_write=attempt is not None))


async def _compare(work: Work, github: GitHub, row: RepositoryRow, listed: set[int]) -> None:
    """Open pull requests: which are closed, has their base moved, and do they still merge with each other?"""
    async with work.database.autocommit() as connection:
        there = await flights.in_flight(connection, row.id)
    for number in there.keys() - listed:
        await _pull(work, row, await github.get_pull(row.full_name, number))
    bases = {flight.base for flight in there.values()}
    heads: dict[str, str] = {}
    for base in sorted({row.default_branch, *bases}):
        with contextlib.suppress(NotFound):  # deleted: the comparison says so on each pull request
            heads[base] = (await github.get_branch(row.full_name, base)).commit.sha
    head = heads.get(row.default_branch)
    behind = head is not None and work.foresight is not None and await work.foresight.head(row) != head
    async with work.on(row.id) as unit:
        for base, sha in heads.items():
            await comparing.base_moved(unit, base, sha)
        for base in sorted(bases):
            await unit.want(0, CompareBranches(base))
        if behind and row.default_branch not in bases:
            await unit.want(0, RefreshMirror(row.default_branch))


async def _review(work: Work, row: RepositoryRow) -> None:
    """Tasks in review: has CI ended without our hearing of it?"""
    async with work.on(row.id) as unit:
        # A changed configuration may have an agent for what waits, though no task has changed.
        await unit.assign_queue()
        for task in await store.tasks_with_status(unit.connection, row.id, [Status.REVIEW]):
            pull = task.pull
            if pull is None:
                continue
            if pull.checks is ChecksState.PENDING:
                await unit.want(task.number, ReadChecks(task.number, pull.head_sha))
