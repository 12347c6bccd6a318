"""The reconciler: GitHub against the database. What no delivery told us is found here.

A whole repository is read in a handful of queries. Of what is as we know it nothing more is read, and nothing is
written, unless the rules may be others than when it was last looked at (`whole`). Of what differs GitHub is asked who
did it: what a person did is an instruction as if its news had come, and the rest is put right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from adapters.database import dependency_graph, repositories, store, task_queue
from adapters.database.dependency_graph import Neighbours
from adapters.database.jobs import sending
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.errors import Gone, NotFound
from adapters.github.models import Issue
from adapters.github.models.graphql import IssueNode
from core.decide.issues import digest
from core.intake.missed_changes import Deed
from core.signals.base import gone
from core.task.dependencies import Need, Source
from core.task.labels import TASK, is_task, right, word_for
from core.task.model import Task
from engine import issue_reader, issue_timeline
from engine.config_sync import read_configuration
from engine.unit_of_work import Work
from scheduler.reconcile_pulls import reconcile_pulls

log = structlog.get_logger()

JUST_READ = timedelta(minutes=1)
"""A configuration that was read within this time is not read again: it is what made the comparison due."""

RECONCILE_EVERY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Seen:
    """An issue as GitHub has it now. `relations` are None where not all of them can be seen."""

    issue: Issue
    relations: Mapping[str, Need] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of some issues: their tasks, what they wait for, and which of that has ended or begun since."""

    tasks: Mapping[int, Task]
    needs: Mapping[int, Mapping[str, Need]]
    turned: frozenset[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """How an issue differs from what we know: in what is to be taken in anyway, and in what somebody may have meant."""

    matters: bool
    labels: bool  # ours are not those that the task is to have
    asks: bool  # who did it is to be asked


async def reconcile(work: Work, github: GitHub, row: RepositoryRow, *, whole: bool = False) -> None:
    """Read the repository's configuration, its tasks and their pull requests, and take in what differs.

    `whole` decides anew on every open task: the configuration changed, or we have just started as another program.
    """
    async with work.database.autocommit() as connection:
        read_at = await repositories.config_read_at(connection, row.id)
    if read_at is None or work.now() - read_at >= JUST_READ:
        await read_configuration(work, github, row.id, row.full_name)
    async with work.database.autocommit() as connection:
        configured = await repositories.config_sha(connection, row.id)
        fresh = await repositories.repository(connection, row.id)
        if fresh is None or fresh.config is None:
            return
        own = await store.digest_issue(connection, row.id)
        neighbours = await Neighbours.of(connection, fresh)
    listed: set[int] = set()
    differing = 0
    async for nodes in github.survey_issues(row.full_name, TASK):
        seen = {node.number: _seen(node, neighbours) for node in nodes if node.number != own}
        listed |= seen.keys()
        differing += await _page(work, github, fresh, neighbours, seen, whole=whole)
    async with work.database.autocommit() as connection:
        lost = [number for number in await store.believed_open(connection, row.id) if number not in listed]
    if lost:
        differing += await _lost(work, github, fresh, neighbours, lost)
    pulls = await reconcile_pulls(work, github, fresh)
    async with work.on(row.id) as unit:  # under its lock: nobody changes a dependency meanwhile
        # A changed configuration may have an agent for what waits, though no task has changed.
        await unit.assign_queue()
        await task_queue.renew_chains(await unit.written(), row.id)
        # Should the job of something that waits have been lost, this is how it goes on.
        unsent = await store.unsent(await unit.written(), row.id, unit.now)
        await work.jobs.defer_all(await unit.written(), [sending(row.id, number) for number in unsent])
        if whole:
            await repositories.save_rules(await unit.written(), row.id, work.rules, configured)
    log.info("reconciled", repository=row.full_name, issues=len(listed), differing=differing, pulls=pulls)


def _seen(node: IssueNode, neighbours: Neighbours) -> Seen:
    home = (neighbours.home.id, 0)
    relations: dict[str, Need] | None = None
    blockers, parts = node.blocked_by, node.sub_issues
    if blockers and parts and blockers.whole and parts.whole:
        relations = {
            neighbours.reference(home, f"{one.repository.name_with_owner}#{one.number}"): Need(one.closed, source)
            for listed, source in ((blockers, Source.BLOCKER), (parts, Source.PART))
            for one in filter(None, listed.nodes)
        }
    return Seen(node.issue(), relations)


async def _lost(work: Work, github: GitHub, row: RepositoryRow, neighbours: Neighbours, numbers: Sequence[int]) -> int:
    """Tasks that are no longer listed: closed, no longer labelled, moved away or deleted. Gives how many differ."""
    nodes = await github.issues_numbered(row.full_name, numbers)
    seen = {number: _seen(node, neighbours) for number, node in nodes.items() if node}
    differing = await _page(work, github, row, neighbours, seen)
    for number in nodes.keys() - seen.keys():
        try:  # what follows from its being gone is much, so it is asked in another way as well
            issue = await github.get_issue(row.full_name, number)
            away = issue.repository.casefold() != row.full_name.casefold()
        except (NotFound, Gone):
            away = True
        if away:
            async with work.on(row.id) as unit:
                task = await unit.task(number)
                if task is not None:
                    await unit.apply(number, gone(task))
            differing += 1
    return differing


async def _page(
    work: Work,
    github: GitHub,
    row: RepositoryRow,
    neighbours: Neighbours,
    seen: Mapping[int, Seen],
    *,
    whole: bool = False,
) -> int:
    """Take in what differs of some issues; gives of how many."""
    known = await _known(work, github, row, neighbours, seen)
    differing = {
        number: difference
        for number, one in seen.items()
        if (difference := _difference(work, row, one, known.tasks.get(number), known, whole)) is not None
    }
    asked = {number: seen[number].issue for number, difference in differing.items() if difference.asks}
    deeds = await issue_timeline.deeds(work.database, github, row, asked, known.tasks)
    dry = row.config is not None and row.config.dry_run
    taken = 0
    for number, difference in sorted(differing.items()):
        done = deeds.get(number, ())
        if difference.matters or done or (difference.labels and not dry):
            await _take(work, github, row, seen[number], known.tasks.get(number), done)
            taken += 1
    return taken


async def _known(
    work: Work, github: GitHub, row: RepositoryRow, neighbours: Neighbours, seen: Mapping[int, Seen]
) -> Known:
    async with work.database.autocommit() as connection:
        tasks = await store.tasks_numbered(connection, row.id, seen)
        needs = await dependency_graph.needs_of(connection, row.id, seen)
        references = {reference for wanted in needs.values() for reference in wanted}
        ours = await dependency_graph.finished_tasks(connection, neighbours, references)
    # Of tasks the tasks themselves tell. Of other issues GitHub does; of those that it relates, it just did.
    told = {ref: need.finished for one in seen.values() for ref, need in (one.relations or {}).items()}
    places = {
        (name or row.full_name, int(number)): reference
        for reference in references - ours.keys() - told.keys()
        for name, _, number in [reference.rpartition("#")]
    }
    told |= {places[place]: closed for place, closed in (await github.closed(places)).items()}
    turned = {
        reference
        for wanted in needs.values()
        for reference, need in wanted.items()
        if reference in told and reference not in ours and told[reference] != need.finished
    }
    return Known(tasks, needs, frozenset(turned))


def _difference(
    work: Work, row: RepositoryRow, seen: Seen, task: Task | None, known: Known, whole: bool
) -> Difference | None:
    """How an issue differs from its task; None where it does not."""
    issue = seen.issue
    if task is None:
        return Difference(matters=True, labels=False, asks=True)
    words = row.config.priorities if row.config else {}
    named = {word for label in issue.label_names if (word := word_for(label, words))}
    labels = not right(issue.label_names, task)
    state = task.withdrawn or not is_task(issue.label_names) or (issue.state == "open") is not task.issue_open
    matters = state or digest(issue.title, issue.body or "") != task.text_digest
    if task.is_open and not task.withdrawn:
        needs = known.needs.get(issue.number, {})
        related = {reference: need.source for reference, need in needs.items() if need.source.native}
        now = seen.relations
        matters |= now is not None and {reference: need.source for reference, need in now.items()} != related
        matters |= whole or not known.turned.isdisjoint(needs)
        matters |= work.foresight is not None and work.foresight.knows_more(row, task.forecast)
    asks = labels or state or bool(named - {task.priority})
    return Difference(matters, labels, asks) if matters or asks else None


async def _take(
    work: Work, github: GitHub, row: RepositoryRow, seen: Seen, task: Task | None, deeds: tuple[Deed, ...]
) -> None:
    """Hand an issue to the rules as it is now."""
    issue, relations = seen.issue, seen.relations
    stale = task is not None and issue.updated_at <= task.issue_updated_at
    if relations is None or (stale and task and digest(issue.title, issue.body or "") != task.text_digest):
        # GitHub's clock ticks in seconds: what we know may be newer than what was just read.
        issue, relations = await github.get_issue(row.full_name, issue.number), None
    # A text that nobody has judged yet is judged by who wrote the issue; a known one keeps its approval.
    author = issue.user if task is None else None
    signal = await issue_reader.issue_seen(
        work.database,
        github,
        row,
        issue,
        work.foresight,
        sender=author,
        sender_can_write=author is not None and await issue_reader.can_write(github, row.full_name, author),
        afresh=relations is None,
        relations=relations,
        deeds=deeds,
    )
    async with work.on(row.id) as unit:
        await unit.apply(issue.number, signal)
