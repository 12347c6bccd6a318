"""Who did it: what people did to issues without our hearing of it, from GitHub's own history of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from adapters.database import audit_log, store
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.convert import actor
from adapters.github.models import Issue, User
from adapters.github.models.graphql import IssueHistory, TimelineItem
from core.intake.missed_changes import CLOCK_SKEW, LabelChange, missed_changes
from core.signals.base import IssueSeen
from core.task.labels import Baseline, is_task, status_from_label
from core.task.model import Status, Task
from engine import issue_reader
from engine.forecasts import ForecastService

_SECOND = timedelta(seconds=1)
_IS_ADDED = {"LabeledEvent": True, "UnlabeledEvent": False, "ReopenedEvent": True, "ClosedEvent": False}


async def read_changes(
    database: Database,
    github: GitHub,
    repository: RepositoryRow,
    issues: Mapping[int, Issue],
    tasks: Mapping[int, Task],
) -> dict[int, tuple[LabelChange, ...]]:
    """What was done to these issues since their labels were last known, and no news reached us of; the oldest first.

    Of an issue that is no task yet it is all that was done to it.
    """
    if not issues:
        return {}
    histories = await github.get_histories(repository.full_name, issues)
    numbers = sorted(tasks.keys() & issues.keys())
    async with database.autocommit() as connection:
        baselines = await store.label_baselines(connection, repository.id, numbers)
        since = {number: _changes_since(issues[number], tasks.get(number), baselines.get(number)) for number in issues}
        earliest = min((since[number] for number in numbers), default=None)
        events_by_task = (
            await audit_log.events_since(connection, repository.id, numbers, earliest - CLOCK_SKEW) if earliest else {}
        )
    writer_cache = _WriterCache(github, repository.full_name)
    result: dict[int, tuple[LabelChange, ...]] = {}
    for number in issues:
        history = histories.get(number)
        if history is None:
            continue
        changes = [
            await _label_change(event, event.created_at, history, writer_cache)
            for event in history.timeline_items.nodes
            if event and event.kind in _IS_ADDED and event.created_at and event.created_at >= since[number]
        ]
        missed = missed_changes([change for change in changes if _is_relevant(change)], events_by_task.get(number, ()))
        if missed:
            result[number] = missed
    return result


async def read_issue_with_changes(
    database: Database, github: GitHub, repository: RepositoryRow, number: int, forecasts: ForecastService | None
) -> IssueSeen | None:
    """One issue as it is, with what was done to it unheard; None where that is nothing, or it is no task."""
    async with database.autocommit() as connection:
        task = await store.load_task(connection, repository.id, number)
    node = (await github.get_issues(repository.full_name, [number]))[number]
    if task is None or node is None:
        return None
    issue = node.to_issue()
    if issue.updated_at < task.issue_updated_at:  # one part of GitHub may be behind another
        issue = await github.get_issue(repository.full_name, number)
    changes = (await read_changes(database, github, repository, {number: issue}, {number: task})).get(number)
    if changes is None or not any(change.label for change in changes):
        return None
    return await issue_reader.make_issue_seen(database, github, repository, issue, forecasts, missed_changes=changes)


def _changes_since(issue: Issue, task: Task | None, baseline_text: str | None) -> datetime:
    if task is None:
        return issue.created_at
    baseline = Baseline.parse(baseline_text)
    recorded_at = baseline.recorded_at if baseline else task.issue_updated_at
    # Labels that it was opened with were taken when it became a task.
    return max((recorded_at - CLOCK_SKEW).replace(microsecond=0), issue.created_at + _SECOND)


def _is_relevant(change: LabelChange) -> bool:
    """Labels that bots set say nothing, ours among them; but that a bot took `task` off makes it no instruction."""
    return not change.label or not change.actor.is_bot or is_task({change.label})


async def _label_change(
    event: TimelineItem, occurred_at: datetime, history: IssueHistory, writer_cache: _WriterCache
) -> LabelChange:
    user = event.actor.user if event.actor else None
    label, is_added = event.label.name if event.label else "", _IS_ADDED[event.kind]
    is_approval = is_added and bool(label) and (is_task({label}) or status_from_label(label) is Status.READY)
    return LabelChange(
        actor(user),
        occurred_at,
        label,
        is_added,
        is_approval and _is_text_unchanged(history, occurred_at) and await writer_cache.can_write(user),
    )


def _is_text_unchanged(history: IssueHistory, moment: datetime) -> bool:
    """Whether title and text are those of then."""
    was_edited = history.last_edited_at is not None and history.last_edited_at >= moment
    renames = (event for event in history.timeline_items.nodes if event and event.kind == "RenamedTitleEvent")
    return not was_edited and not any(event.created_at and event.created_at >= moment for event in renames)


class _WriterCache:
    """Who may write, each asked about once."""

    def __init__(self, github: GitHub, name: str) -> None:
        self._github, self._name = github, name
        self._cache: dict[int, bool] = {}

    async def can_write(self, user: User | None) -> bool:
        """Whether this user may write now."""
        if user is None:
            return False
        if user.id not in self._cache:
            self._cache[user.id] = await issue_reader.can_write(self._github, self._name, user)
        return self._cache[user.id]
