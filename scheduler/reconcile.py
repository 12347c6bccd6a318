"""Compares GitHub with the database and repairs differences.

A whole repository is read in a few queries. If nothing differs, nothing more is read or written, unless the rules may
have changed since the last time (`whole`). For differences, GitHub's timeline says who made them: what a person did is
an instruction as if its event had arrived; the rest is corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from adapters.database import dependency_graph, repositories, store, task_queue
from adapters.database.dependency_graph import ReferenceResolver
from adapters.database.jobs import send_job
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.errors import Gone, NotFound
from adapters.github.models import Issue
from adapters.github.models.graphql import IssueNode
from core.decide.issues import text_digest
from core.intake.missed_changes import LabelChange
from core.signals.base import deleted_issue
from core.task.dependencies import Dependency, Source
from core.task.labels import TASK_LABEL, closest_label, is_task, with_status
from core.task.model import Task
from engine import issue_reader, issue_timeline
from engine.config_sync import sync_config
from engine.forecasts import ForecastService
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.reconcile_pulls import reconcile_pulls

log = structlog.get_logger()

CONFIG_MAX_AGE = timedelta(minutes=1)
"""A configuration that was read within this time is not read again: it caused the reconcile."""

RECONCILE_EVERY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class GitHubState:
    """An issue in its present state on GitHub. `relations` are None if not all of them are readable."""

    issue: Issue
    relations: Mapping[str, Dependency] | None = None


@dataclass(frozen=True, slots=True)
class StoredState:
    """The stored state of some issues: their tasks, their dependencies, and which of these have changed."""

    tasks: Mapping[int, Task]
    dependencies: Mapping[int, Mapping[str, Dependency]]
    changed_references: frozenset[str]


@dataclass(frozen=True, slots=True)
class Diff:
    """How an issue differs from the stored state: what is applied anyway, and what may be an instruction."""

    needs_update: bool
    labels_differ: bool  # the bot's labels are not those of the task
    needs_attribution: bool  # the timeline must say who did it


async def reconcile(
    work: UnitOfWorkFactory,
    github: GitHub,
    forecasts: ForecastService | None,
    row: RepositoryRow,
    *,
    full: bool = False,
) -> None:
    """Read the repository's configuration, tasks and pull requests, and apply what differs.

    `full` decides again on every open task: the configuration or the program has changed.
    """
    async with work.database.autocommit() as connection:
        read_at = await repositories.config_read_at(connection, row.id)
    if read_at is None or work.now() - read_at >= CONFIG_MAX_AGE:
        await sync_config(work, github, row.id, row.full_name)
    async with work.database.autocommit() as connection:
        config_sha = await repositories.config_sha(connection, row.id)
        current_row = await repositories.load_repository(connection, row.id)
        if current_row is None or current_row.config is None:
            return
        digest_number = await store.digest_issue_number(connection, row.id)
        graph_queries = await ReferenceResolver.load(connection, current_row)
    listed: set[int] = set()
    diff_count = 0
    async for nodes in github.list_open_issues(row.full_name, TASK_LABEL):
        states = {node.number: _github_state(node, graph_queries) for node in nodes if node.number != digest_number}
        listed |= states.keys()
        diff_count += await _reconcile_issues(work, github, forecasts, current_row, graph_queries, states, full=full)
    async with work.database.autocommit() as connection:
        unlisted = [number for number in await store.open_task_numbers(connection, row.id) if number not in listed]
    if unlisted:
        diff_count += await _reconcile_unlisted(work, github, forecasts, current_row, graph_queries, unlisted)
    pulls = await reconcile_pulls(work, github, forecasts, current_row)
    async with work.begin(row.id) as unit:  # under its lock: no dependency changes meanwhile
        # A changed configuration may have an agent for a waiting task, although no task has changed.
        await unit.assign_queue()
        await task_queue.update_depths(await unit.session.flushed_connection(), row.id)
        # If the job that sends waiting effects was lost, this continues it.
        unsent = await store.unsent_numbers(await unit.session.flushed_connection(), row.id, unit.session.now)
        await work.jobs.defer_all(
            await unit.session.flushed_connection(), [send_job(row.id, *group) for group in unsent]
        )
        if full:
            await repositories.save_policy_fingerprint(
                await unit.session.flushed_connection(), row.id, work.policy_fingerprint, config_sha
            )
    log.info("reconciled", repository=row.full_name, issues=len(listed), differing=diff_count, pulls=pulls)


def _github_state(node: IssueNode, graph_queries: ReferenceResolver) -> GitHubState:
    home_key = (graph_queries.repository.id, 0)
    relations: dict[str, Dependency] | None = None
    blockers, sub_issues = node.blocked_by, node.sub_issues
    if blockers and sub_issues and blockers.is_complete and sub_issues.is_complete:
        relations = {
            graph_queries.reference(home_key, f"{linked.repository.name_with_owner}#{linked.number}"): Dependency(
                linked.closed, source
            )
            for connection, source in ((blockers, Source.BLOCKED_BY), (sub_issues, Source.SUB_ISSUE))
            for linked in filter(None, connection.nodes)
        }
    return GitHubState(node.to_issue(), relations)


async def _reconcile_unlisted(
    work: UnitOfWorkFactory,
    github: GitHub,
    forecasts: ForecastService | None,
    row: RepositoryRow,
    graph_queries: ReferenceResolver,
    numbers: Sequence[int],
) -> int:
    """Tasks that are no longer listed: closed, no longer labelled, moved or deleted. Returns how many differ."""
    nodes = await github.get_issues(row.full_name, numbers)
    states = {number: _github_state(node, graph_queries) for number, node in nodes.items() if node}
    diff_count = await _reconcile_issues(work, github, forecasts, row, graph_queries, states)
    for number in nodes.keys() - states.keys():
        try:  # a missing issue has large consequences, so it is read again
            issue = await github.get_issue(row.full_name, number)
            is_gone = issue.repository.casefold() != row.full_name.casefold()
        except (NotFound, Gone):
            is_gone = True
        if is_gone:
            async with work.begin(row.id) as unit:
                task = await unit.session.load_task(number)
                if task is not None:
                    await unit.apply(number, deleted_issue(task))
            diff_count += 1
    return diff_count


async def _reconcile_issues(
    work: UnitOfWorkFactory,
    github: GitHub,
    forecasts: ForecastService | None,
    row: RepositoryRow,
    graph_queries: ReferenceResolver,
    states: Mapping[int, GitHubState],
    *,
    full: bool = False,
) -> int:
    """Apply the differences of some issues; returns how many differed."""
    stored = await _load_stored_state(work, github, row, graph_queries, states)
    diffs = {
        number: diff
        for number, state in states.items()
        if (diff := _diff(forecasts, row, state, stored.tasks.get(number), stored, full)) is not None
    }
    attributable = {number: states[number].issue for number, diff in diffs.items() if diff.needs_attribution}
    changes = await issue_timeline.read_changes(work.database, github, row, attributable, stored.tasks)
    is_dry_run = row.config is not None and row.config.dry_run
    applied = 0
    for number, diff in sorted(diffs.items()):
        issue_changes = changes.get(number, ())
        if diff.needs_update or issue_changes or (diff.labels_differ and not is_dry_run):
            await _apply_issue(work, github, forecasts, row, states[number], stored.tasks.get(number), issue_changes)
            applied += 1
    return applied


async def _load_stored_state(
    work: UnitOfWorkFactory,
    github: GitHub,
    row: RepositoryRow,
    graph_queries: ReferenceResolver,
    states: Mapping[int, GitHubState],
) -> StoredState:
    async with work.database.autocommit() as connection:
        tasks = await store.tasks_by_number(connection, row.id, states)
        dependencies = await dependency_graph.dependencies_by_task(connection, row.id, states)
        references = {reference for issue_dependencies in dependencies.values() for reference in issue_dependencies}
        finished_tasks = await dependency_graph.load_finished(connection, graph_queries, references)
    # Tasks have their own status. For other issues, GitHub's state counts; for related ones it was just read.
    finished = {
        linked_reference: dependency.finished
        for state in states.values()
        for linked_reference, dependency in (state.relations or {}).items()
    }
    issue_keys = {
        (name or row.full_name, int(number)): reference
        for reference in references - finished_tasks.keys() - finished.keys()
        for name, _, number in [reference.rpartition("#")]
    }
    finished |= {
        issue_keys[issue_key]: closed for issue_key, closed in (await github.get_closed_states(issue_keys)).items()
    }
    changed = {
        reference
        for issue_dependencies in dependencies.values()
        for reference, dependency in issue_dependencies.items()
        if reference in finished and reference not in finished_tasks and finished[reference] != dependency.finished
    }
    return StoredState(tasks, dependencies, frozenset(changed))


def _diff(
    forecasts: ForecastService | None,
    row: RepositoryRow,
    github_state: GitHubState,
    task: Task | None,
    stored: StoredState,
    full: bool,
) -> Diff | None:
    """How an issue differs from its task; None if it does not."""
    issue = github_state.issue
    if task is None:
        return Diff(needs_update=True, labels_differ=False, needs_attribution=True)
    priority_labels = row.config.priorities if row.config else {}
    label_priorities = {
        label_priority for label in issue.label_names if (label_priority := closest_label(label, priority_labels))
    }
    labels_differ = not with_status(issue.label_names, task)
    state_differs = task.untracked or not is_task(issue.label_names) or (issue.state == "open") is not task.issue_open
    needs_update = state_differs or text_digest(issue.title, issue.body or "") != task.text_digest
    if task.is_open and not task.untracked:
        dependencies = stored.dependencies.get(issue.number, {})
        native_sources = {
            reference: dependency.source
            for reference, dependency in dependencies.items()
            if dependency.source.is_native
        }
        relations = github_state.relations
        needs_update |= (
            relations is not None
            and {reference: dependency.source for reference, dependency in relations.items()} != native_sources
        )
        needs_update |= full or not stored.changed_references.isdisjoint(dependencies)
        needs_update |= forecasts is not None and forecasts.can_improve(row, task.forecast)
    needs_attribution = labels_differ or state_differs or bool(label_priorities - {task.priority})
    return Diff(needs_update, labels_differ, needs_attribution) if needs_update or needs_attribution else None


async def _apply_issue(
    work: UnitOfWorkFactory,
    github: GitHub,
    forecasts: ForecastService | None,
    row: RepositoryRow,
    github_state: GitHubState,
    task: Task | None,
    changes: tuple[LabelChange, ...],
) -> None:
    """Apply an issue in its present state."""
    issue, relations = github_state.issue, github_state.relations
    is_stale = task is not None and issue.updated_at <= task.issue_updated_at
    if relations is None or (is_stale and task and text_digest(issue.title, issue.body or "") != task.text_digest):
        # GitHub's clock has seconds: the stored state may be newer than what was just read.
        issue, relations = await github.get_issue(row.full_name, issue.number), None
    # The author of the issue counts for a text that was not judged yet; a known text keeps its approval.
    author = issue.user if task is None else None
    signal = await issue_reader.make_issue_seen(
        work.database,
        github,
        row,
        issue,
        forecasts,
        sender=author,
        sender_can_write=author is not None and await issue_reader.can_write(github, row.full_name, author),
        force_read=relations is None,
        native_dependencies=relations,
        missed_changes=changes,
    )
    async with work.begin(row.id) as unit:
        await unit.apply(issue.number, signal)
