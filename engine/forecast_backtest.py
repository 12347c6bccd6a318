"""Replaying a repository: each merged branch is forecast from what was known before it, and held against its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapters.git.inspect import HistoryCommit, find_symbols, list_files, read_history, resolve_commit
from adapters.git.process import Git, GitError
from core.forecast.evaluation import Score, judged
from core.forecast.file_index import FileIndex
from core.forecast.history import ChangeHistory, FinishedWork, words_for
from core.forecast.mentions import mentions
from core.forecast.predict import RepositoryKnowledge, TaskText, forecast

MAX_COMMITS = 20_000  # of the main line that are looked at, the latest
SECONDS = 120.0  # for reading a history
SEARCH_SECONDS = 10.0  # for the names of one branch
OFTEN = 10  # merges are what is replayed where at least one commit in so many is one


class CannotReplay(Exception):
    """There is nothing to replay; the text says why."""


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What came of it. `merges`: those were replayed; else each commit of the main line, as of squashed branches."""

    score: Score
    merges: bool
    commits: int  # of the main line that were looked at


async def git_dir_of(git: Git, folder: Path) -> Path:
    """The repository that a folder (its absolute path) is, or lies in. Raises `CannotReplay`."""
    try:
        found = await git.run("-C", str(folder), "rev-parse", "--absolute-git-dir")
    except GitError as error:
        said = error.stderr.splitlines()[0] if error.stderr else "git cannot read it"
        raise CannotReplay(f"{folder} cannot be read as a git repository: {said}") from error
    return Path(found.stdout.decode("utf-8", "surrogateescape").rstrip("\n"))


async def replay(
    git: Git, git_dir: Path, limit: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> BacktestResult:
    """Replay the latest `limit` merged branches of `HEAD`. Nothing of the repository is executed or changed.

    `progress` is told how many of how many are done. Raises `CannotReplay`, and GitError where git fails.
    """
    head = await resolve_commit(git, git_dir, "HEAD")
    if head is None:
        raise CannotReplay("The repository has no commits yet.")
    line = (await read_history(git, git_dir, head, MAX_COMMITS, timeout_seconds=SECONDS))[::-1]
    merges = sum(len(one.parents) > 1 for one in line) * OFTEN >= len(line)
    chosen = [one.sha for one in line if one.parents and one.path_changes and (len(one.parents) > 1 or not merges)][
        -limit:
    ]
    if not chosen:
        raise CannotReplay("The repository has only one commit, so there is no history to replay.")
    wanted, judgements = frozenset(chosen), []
    there = (
        set(await list_files(git, git_dir, line[0].parents[0], timeout_seconds=SECONDS)) if line[0].parents else set()
    )
    past = ChangeHistory()
    for change in line:
        text = words_for(change.message)
        if change.sha in wanted:
            tree = FileIndex(there)
            symbols = mentions(text).symbols
            found = await find_symbols(git, git_dir, change.parents[0], symbols, timeout_seconds=SEARCH_SECONDS)
            foreseen = forecast(TaskText(text), RepositoryKnowledge(tree, found, past))
            judgements.append(judged(text.partition("\n")[0], foreseen, change.paths, there))
            progress(len(judgements), len(chosen))
        _apply(change, there)
        past.add(FinishedWork.of(text, change.paths))
    return BacktestResult(Score(tuple(judgements)), merges, len(line))


def _apply(change: HistoryCommit, there: set[str]) -> None:
    """What is there after the change."""
    removed = {path for state, path in change.path_changes if state == "D"}
    there.difference_update(removed)
    there.update(path for state, path in change.path_changes if state != "D")
