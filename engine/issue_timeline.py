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
from core.intake.missed_changes import SKEW, LabelChange, missed_changes
from core.signals.base import IssueSeen
from core.task.labels import Baseline, is_task, status_in
from core.task.model import Status, Task
from engine import issue_reader
from engine.forecasts import ForecastService

_SECOND = timedelta(seconds=1)
_ADDED = {"LabeledEvent": True, "UnlabeledEvent": False, "ReopenedEvent": True, "ClosedEvent": False}


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
        known = await store.label_baselines(connection, repository.id, numbers)
        since = {number: _since(issues[number], tasks.get(number), known.get(number)) for number in issues}
        first = min((since[number] for number in numbers), default=None)
        told = await audit_log.events_since(connection, repository.id, numbers, first - SKEW) if first else {}
    writers = _Writers(github, repository.full_name)
    found: dict[int, tuple[LabelChange, ...]] = {}
    for number in issues:
        history = histories.get(number)
        if history is None:
            continue
        done = [
            await _deed(event, event.created_at, history, writers)
            for event in history.timeline_items.nodes
            if event and event.kind in _ADDED and event.created_at and event.created_at >= since[number]
        ]
        news = missed_changes([deed for deed in done if _counts(deed)], told.get(number, ()))
        if news:
            found[number] = news
    return found


async def look(
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
    done = (await read_changes(database, github, repository, {number: issue}, {number: task})).get(number)
    if done is None or not any(deed.label for deed in done):
        return None
    return await issue_reader.issue_seen(database, github, repository, issue, forecasts, deeds=done)


def _since(issue: Issue, task: Task | None, known: str | None) -> datetime:
    if task is None:
        return issue.created_at
    baseline = Baseline.read(known)
    at = baseline.at if baseline else task.issue_updated_at
    # Labels that it was opened with were taken when it became a task.
    return max((at - SKEW).replace(microsecond=0), issue.created_at + _SECOND)


def _counts(deed: LabelChange) -> bool:
    """Labels that bots set say nothing, ours among them; but that a bot took `task` off makes it no instruction."""
    return not deed.label or not deed.actor.is_bot or is_task({deed.label})


async def _deed(event: TimelineItem, at: datetime, history: IssueHistory, writers: _Writers) -> LabelChange:
    user = event.actor.user if event.actor else None
    label, added = event.label.name if event.label else "", _ADDED[event.kind]
    approves = added and bool(label) and (is_task({label}) or status_in(label) is Status.READY)
    return LabelChange(
        actor(user), at, label, added, approves and _unchanged(history, at) and await writers.include(user)
    )


def _unchanged(history: IssueHistory, at: datetime) -> bool:
    """Whether title and text are those of then."""
    edited = history.last_edited_at is not None and history.last_edited_at >= at
    renamed = (event for event in history.timeline_items.nodes if event and event.kind == "RenamedTitleEvent")
    return not edited and not any(event.created_at and event.created_at >= at for event in renamed)


class _Writers:
    """Who may write, each asked about once."""

    def __init__(self, github: GitHub, name: str) -> None:
        self._github, self._name = github, name
        self._known: dict[int, bool] = {}

    async def include(self, user: User | None) -> bool:
        """Whether this user may write now."""
        if user is None:
            return False
        if user.id not in self._known:
            self._known[user.id] = await issue_reader.can_write(self._github, self._name, user)
        return self._known[user.id]
