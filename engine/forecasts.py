"""Forecasts which files an issue will change, from its text and from what is read of the repository.

Nothing is fetched here: git reads the local mirror as it is, within a time limit; without it the forecast is less
precise. The tree and the history of a commit are cached for the next issue, because they never change.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic

import structlog
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.repositories import RepositoryRow
from adapters.database.task_state import task_field
from adapters.git import Mirror, MirrorPool
from adapters.git.inspect import find_symbols, list_files, read_history, resolve_ref
from adapters.git.process import GitError, GitTimeoutError
from core.decide.issues import text_digest
from core.forecast.file_index import FileIndex
from core.forecast.history import MAX_HISTORY, ChangeHistory, FinishedWork, commit_text
from core.forecast.mentions import find_references
from core.forecast.model import Forecast
from core.forecast.predict import RepositoryKnowledge, TaskText, predict_files
from core.signals.base import IssueFacts
from core.task.model import Status

SymbolFiles = Mapping[str, tuple[str, ...]]  # the files in which each name is

log = structlog.get_logger()

GIT_TIMEOUT_SECONDS = 2.0  # for all that git is asked about one issue
REFRESH_SECONDS = 30.0  # before it is looked again which tasks are done
MAX_FINISHED_TASKS = 200  # tasks that are done, the latest, whose files are looked at
MAX_CACHED_REPOSITORIES = 20  # whose tree and history are kept, the latest asked for,
MAX_CACHED_FILES = 150_000  # as long as their trees have no more files together: some 400 bytes each with all indexes
_MAX_GOAL_LENGTH = 1000  # characters of the goal of a task that is done

_STORED_FORECAST = select(
    task_field("forecast", "text_digest").as_string(), task_field("forecast", "files_known").as_boolean()
).where(t.tasks.c.repository_id == bindparam("repository"), t.tasks.c.number == bindparam("issue"))
_LATEST_FINISHED = (
    select(t.tasks.c.number, t.tasks.c.updated_at)
    .where(
        t.tasks.c.repository_id == bindparam("repository"),
        t.tasks.c.status == Status.DONE.value,
        t.tasks.c.pull_number.is_not(None),
    )
    .order_by(t.tasks.c.updated_at.desc(), t.tasks.c.number.desc())
    .limit(MAX_FINISHED_TASKS)
)
_STATE = t.tasks.c.state
_FINISHED_TASKS = select(
    t.tasks.c.number,
    _STATE["title"].as_string().label("title"),
    _STATE["intake"]["goal"].as_string().label("goal"),
    _STATE["pull"]["files"].label("files"),
    _STATE["pull"]["merge_sha"].as_string().label("merge_sha"),
).where(t.tasks.c.repository_id == bindparam("repository"), t.tasks.c.number.in_(bindparam("numbers", expanding=True)))


@dataclass(frozen=True, slots=True)
class _FinishedTask:
    """A task that is done: when it last changed, what it was, and the commit that it became."""

    changed_at: datetime
    work: FinishedWork
    merge_sha: str | None


@dataclass(slots=True)
class _CachedRepository:
    """What is kept of one repository."""

    commit: str | None = None
    file_index: FileIndex | None = None
    commits: dict[str, FinishedWork] = field(default_factory=dict)  # the oldest first
    tasks: dict[int, _FinishedTask] = field(default_factory=dict)
    tasks_read_at: float | None = None  # of the monotonic clock


class ForecastService:
    """Makes forecasts. One for the whole bot; what it keeps is only a memory of what can be read again."""

    def __init__(self, database: Database, mirrors: MirrorPool, seconds: float = GIT_TIMEOUT_SECONDS) -> None:
        """`seconds` is how long git may take for one issue, all in all."""
        self._database = database
        self._mirrors = mirrors
        self._seconds = seconds
        self._cache: OrderedDict[int, _CachedRepository] = OrderedDict()

    async def predict(self, repository: RepositoryRow, issue: IssueFacts) -> Forecast | None:
        """The forecast of the issue's text; None where the one that its task has is as good. Never raises for git."""
        text = text_digest(issue.title, issue.body)
        async with self._database.autocommit() as connection:
            which = {"repository": repository.id, "issue": issue.number}
            known = (await connection.execute(_STORED_FORECAST, which)).first()
            there = self._mirror(repository).path.exists()
            if known and known[0] == text and (known[1] or not there):
                return None
            memory = self._get_cached(repository.id)
            await self._read_finished_tasks(connection, repository.id, memory)
        intake = issue.intake
        words = "\n\n".join((issue.title, intake.goal, *(one.text for one in intake.criteria), intake.notes))
        said = TaskText(words, intake.files)
        symbols: SymbolFiles = {}
        if there:
            try:
                async with asyncio.timeout(self._seconds), self._mirror(repository).read_lock():
                    await self._refresh(repository, memory)
                    symbols = await self._find_symbols(repository, memory, find_references(words).symbols)
            except (GitError, TimeoutError, OSError) as error:
                log.warning("forecast_without_mirror", repository=repository.full_name, error=str(error))
        sight = RepositoryKnowledge(memory.file_index, symbols, _change_history(memory))
        # In a thread of its own: with 100,000 files it takes a moment, and others are not to wait for it.
        found = await asyncio.to_thread(predict_files, said, sight, text)
        return Forecast(found.files, text, there)

    def can_improve(self, repository: RepositoryRow, known: Forecast | None) -> bool:
        """Whether a forecast that a task has was made in ignorance of files that are known by now."""
        return known is None or not (known.files_known or not self._mirror(repository).path.exists())

    async def refresh(self, repository: RepositoryRow) -> None:
        """Read the mirror after it was fetched, so that the next issue need not wait for that."""
        async with self._mirror(repository).read_lock():
            await self._refresh(repository, self._get_cached(repository.id), 10 * self._seconds)

    async def head_sha(self, repository: RepositoryRow) -> str | None:
        """The commit of the default branch that the mirror has; None without a mirror."""
        return await resolve_ref(self._mirror(repository), f"refs/heads/{repository.default_branch}")

    def _mirror(self, repository: RepositoryRow) -> Mirror:
        return self._mirrors.get(repository.id, repository.full_name)

    def _get_cached(self, repository_id: int) -> _CachedRepository:
        cached = self._cache.pop(repository_id, None) or _CachedRepository()
        self._cache[repository_id] = cached
        file_counts = (len(entry.file_index) for entry in self._cache.values() if entry.file_index)
        if len(self._cache) > MAX_CACHED_REPOSITORIES or (len(self._cache) > 1 and sum(file_counts) > MAX_CACHED_FILES):
            self._cache.popitem(last=False)
        return cached

    async def _refresh(
        self, repository: RepositoryRow, memory: _CachedRepository, seconds: float | None = None
    ) -> None:
        """Bring the tree and the history up to what the mirror has."""
        commit = await self.head_sha(repository)
        if commit is None or commit == memory.commit:
            return
        mirror, limit = self._mirror(repository), seconds or self._seconds
        tree = FileIndex(await list_files(mirror.git, mirror.path, commit, timeout_seconds=limit))
        if memory.file_index and memory.file_index.paths == tree.paths:
            tree = memory.file_index  # most commits make no files, and its indexes are there
        try:
            news = await read_history(
                mirror.git, mirror.path, commit, MAX_HISTORY, timeout_seconds=limit, after=memory.commit
            )
        except GitTimeoutError:
            raise
        except GitError:  # what we knew is no longer there: the branch was pushed by force, or the mirror is new
            news = await read_history(mirror.git, mirror.path, commit, MAX_HISTORY, timeout_seconds=limit)
        done = {one.sha: FinishedWork.from_text(commit_text(one.message), one.paths) for one in reversed(news)}
        memory.commits = dict(list({**memory.commits, **done}.items())[-MAX_HISTORY:])
        memory.commit, memory.file_index = commit, tree

    async def _find_symbols(
        self, repository: RepositoryRow, cached: _CachedRepository, symbols: Sequence[str]
    ) -> SymbolFiles:
        mirror = self._mirror(repository)
        if not cached.commit:
            return {}
        return await find_symbols(mirror.git, mirror.path, cached.commit, symbols, timeout_seconds=self._seconds)

    async def _read_finished_tasks(
        self, connection: AsyncConnection, repository_id: int, cached: _CachedRepository
    ) -> None:
        """Bring up to date what is known of tasks that are done. Only those are read that are new or changed."""
        if cached.tasks_read_at is not None and monotonic() - cached.tasks_read_at < REFRESH_SECONDS:
            return
        cached.tasks_read_at = monotonic()
        parameters = {"repository": repository_id}
        latest = dict((await connection.execute(_LATEST_FINISHED, parameters)).all())
        changed_numbers = [
            number
            for number, changed_at in latest.items()
            if number not in cached.tasks or cached.tasks[number].changed_at != changed_at
        ]
        cached.tasks = {number: task for number, task in cached.tasks.items() if number in latest}
        if not changed_numbers:
            return
        for row in await connection.execute(_FINISHED_TASKS, {**parameters, "numbers": changed_numbers}):
            work = FinishedWork.from_text(f"{row.title}\n{(row.goal or '')[:_MAX_GOAL_LENGTH]}", row.files or ())
            cached.tasks[row.number] = _FinishedTask(latest[row.number], work, row.merge_sha)


def _change_history(cached: _CachedRepository) -> ChangeHistory:
    """All that is known to be done: commits first, then tasks, which have more words than the commits they became."""
    merge_shas = {task.merge_sha for task in cached.tasks.values()}
    commits = [work for sha, work in cached.commits.items() if sha not in merge_shas]
    tasks = [task.work for _, task in sorted(cached.tasks.items(), key=lambda entry: (entry[1].changed_at, entry[0]))]
    return ChangeHistory([*commits, *tasks])
