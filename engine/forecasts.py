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
from adapters.git import Mirror, MirrorPool
from adapters.git.inspect import find_symbols, list_files, read_history, resolve_ref
from adapters.git.process import GitError, GitTimeoutError
from core.decide.issues import text_digest
from core.forecast.file_index import FileIndex
from core.forecast.history import KEPT, ChangeHistory, FinishedWork, words_for
from core.forecast.mentions import mentions
from core.forecast.model import Forecast
from core.forecast.predict import RepositoryKnowledge, TaskText, forecast
from core.signals.base import IssueFacts
from core.task.model import Status

Where = Mapping[str, tuple[str, ...]]  # the files in which each name is

log = structlog.get_logger()

SECONDS = 2.0  # for all that git is asked about one issue
LEARN_SECONDS = 30.0  # before it is looked again which tasks are done
LEARNT = 200  # tasks that are done, the latest, whose files are looked at
KEPT_REPOSITORIES = 20  # whose tree and history are kept, the latest asked for,
KEPT_FILES = 150_000  # as long as their trees have no more files together: some 400 bytes each with all indexes
_GOAL = 1000  # characters of the goal of a task that is done

_KNOWN = select(
    t.tasks.c.state["forecast"]["digest"].as_string(), t.tasks.c.state["forecast"]["informed"].as_boolean()
).where(t.tasks.c.repository_id == bindparam("repository"), t.tasks.c.number == bindparam("issue"))
_LATEST = (
    select(t.tasks.c.number, t.tasks.c.updated_at)
    .where(
        t.tasks.c.repository_id == bindparam("repository"),
        t.tasks.c.status == Status.DONE.value,
        t.tasks.c.pull_number.is_not(None),
    )
    .order_by(t.tasks.c.updated_at.desc(), t.tasks.c.number.desc())
    .limit(LEARNT)
)
_STATE = t.tasks.c.state
_WORK = select(
    t.tasks.c.number,
    _STATE["title"].as_string().label("title"),
    _STATE["intake"]["goal"].as_string().label("goal"),
    _STATE["pull"]["files"].label("files"),
    _STATE["pull"]["merge_sha"].as_string().label("merge_sha"),
).where(t.tasks.c.repository_id == bindparam("repository"), t.tasks.c.number.in_(bindparam("numbers", expanding=True)))


@dataclass(frozen=True, slots=True)
class _Task:
    """A task that is done: when it last changed, what it was, and the commit that it became."""

    changed: datetime
    done: FinishedWork
    merge: str | None


@dataclass(slots=True)
class _CachedRepository:
    """What is kept of one repository."""

    commit: str | None = None
    tree: FileIndex | None = None
    commits: dict[str, FinishedWork] = field(default_factory=dict)  # the oldest first
    tasks: dict[int, _Task] = field(default_factory=dict)
    learnt_at: float | None = None  # of the monotonic clock


class ForecastService:
    """Makes forecasts. One for the whole bot; what it keeps is only a memory of what can be read again."""

    def __init__(self, database: Database, mirrors: MirrorPool, seconds: float = SECONDS) -> None:
        """`seconds` is how long git may take for one issue, all in all."""
        self._database = database
        self._mirrors = mirrors
        self._seconds = seconds
        self._kept: OrderedDict[int, _CachedRepository] = OrderedDict()

    async def predict(self, repository: RepositoryRow, issue: IssueFacts) -> Forecast | None:
        """The forecast of the issue's text; None where the one that its task has is as good. Never raises for git."""
        text = text_digest(issue.title, issue.body)
        async with self._database.autocommit() as connection:
            which = {"repository": repository.id, "issue": issue.number}
            known = (await connection.execute(_KNOWN, which)).first()
            there = self._mirror(repository).path.exists()
            if known and known[0] == text and (known[1] or not there):
                return None
            memory = self._memory(repository.id)
            await self._learn(connection, repository.id, memory)
        intake = issue.intake
        words = "\n\n".join((issue.title, intake.goal, *(one.text for one in intake.criteria), intake.notes))
        said = TaskText(words, intake.files)
        symbols: Where = {}
        if there:
            try:
                async with asyncio.timeout(self._seconds), self._mirror(repository).read_lock():
                    await self._refresh(repository, memory)
                    symbols = await self._find(repository, memory, mentions(words).symbols)
            except (GitError, TimeoutError, OSError) as error:
                log.warning("forecast_without_mirror", repository=repository.full_name, error=str(error))
        sight = RepositoryKnowledge(memory.tree, symbols, _past(memory))
        # In a thread of its own: with 100,000 files it takes a moment, and others are not to wait for it.
        found = await asyncio.to_thread(forecast, said, sight, text)
        return Forecast(found.files, text, there)

    def can_improve(self, repository: RepositoryRow, known: Forecast | None) -> bool:
        """Whether a forecast that a task has was made in ignorance of files that are known by now."""
        return known is None or not (known.informed or not self._mirror(repository).path.exists())

    async def refresh(self, repository: RepositoryRow) -> None:
        """Read the mirror after it was fetched, so that the next issue need not wait for that."""
        async with self._mirror(repository).read_lock():
            await self._refresh(repository, self._memory(repository.id), 10 * self._seconds)

    async def head_sha(self, repository: RepositoryRow) -> str | None:
        """The commit of the default branch that the mirror has; None without a mirror."""
        return await resolve_ref(self._mirror(repository), f"refs/heads/{repository.default_branch}")

    def _mirror(self, repository: RepositoryRow) -> Mirror:
        return self._mirrors.get(repository.id, repository.full_name)

    def _memory(self, repository_id: int) -> _CachedRepository:
        memory = self._kept.pop(repository_id, None) or _CachedRepository()
        self._kept[repository_id] = memory
        trees = (len(one.tree) for one in self._kept.values() if one.tree)
        if len(self._kept) > KEPT_REPOSITORIES or (len(self._kept) > 1 and sum(trees) > KEPT_FILES):
            self._kept.popitem(last=False)
        return memory

    async def _refresh(
        self, repository: RepositoryRow, memory: _CachedRepository, seconds: float | None = None
    ) -> None:
        """Bring the tree and the history up to what the mirror has."""
        commit = await self.head_sha(repository)
        if commit is None or commit == memory.commit:
            return
        mirror, limit = self._mirror(repository), seconds or self._seconds
        tree = FileIndex(await list_files(mirror.git, mirror.path, commit, timeout_seconds=limit))
        if memory.tree and memory.tree.paths == tree.paths:
            tree = memory.tree  # most commits make no files, and its indexes are there
        try:
            news = await read_history(mirror.git, mirror.path, commit, KEPT, timeout_seconds=limit, after=memory.commit)
        except GitTimeoutError:
            raise
        except GitError:  # what we knew is no longer there: the branch was pushed by force, or the mirror is new
            news = await read_history(mirror.git, mirror.path, commit, KEPT, timeout_seconds=limit)
        done = {one.sha: FinishedWork.of(words_for(one.message), one.paths) for one in reversed(news)}
        memory.commits = dict(list({**memory.commits, **done}.items())[-KEPT:])
        memory.commit, memory.tree = commit, tree

    async def _find(self, repository: RepositoryRow, memory: _CachedRepository, symbols: Sequence[str]) -> Where:
        mirror = self._mirror(repository)
        if not memory.commit:
            return {}
        return await find_symbols(mirror.git, mirror.path, memory.commit, symbols, timeout_seconds=self._seconds)

    async def _learn(self, connection: AsyncConnection, repository_id: int, memory: _CachedRepository) -> None:
        """Bring up to date what is known of tasks that are done. Only those are read that are new or changed."""
        if memory.learnt_at is not None and monotonic() - memory.learnt_at < LEARN_SECONDS:
            return
        memory.learnt_at = monotonic()
        which = {"repository": repository_id}
        latest = dict((await connection.execute(_LATEST, which)).all())
        news = [
            number
            for number, changed in latest.items()
            if number not in memory.tasks or memory.tasks[number].changed != changed
        ]
        memory.tasks = {number: task for number, task in memory.tasks.items() if number in latest}
        if not news:
            return
        for row in await connection.execute(_WORK, {**which, "numbers": news}):
            done = FinishedWork.of(f"{row.title}\n{(row.goal or '')[:_GOAL]}", row.files or ())
            memory.tasks[row.number] = _Task(latest[row.number], done, row.merge_sha)


def _past(memory: _CachedRepository) -> ChangeHistory:
    """All that is known to be done: commits first, then tasks, which have more words than the commits they became."""
    merged = {task.merge for task in memory.tasks.values()}
    commits = [done for sha, done in memory.commits.items() if sha not in merged]
    tasks = [task.done for _, task in sorted(memory.tasks.items(), key=lambda entry: (entry[1].changed, entry[0]))]
    return ChangeHistory([*commits, *tasks])
