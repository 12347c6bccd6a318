"""Replaying a repository: each merged branch is forecast from what was known before it, and held against its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapters.git.inspect import HistoryCommit, find_symbols, list_files, read_history, resolve_commit
from adapters.git.process import Git, GitError
from core.forecast.evaluation import ForecastScore, evaluate_forecast
from core.forecast.file_index import FileIndex
from core.forecast.history import ChangeHistory, FinishedWork, commit_text
from core.forecast.mentions import find_references
from core.forecast.predict import RepositoryKnowledge, TaskText, predict_files

MAX_COMMITS = 20_000  # of the main line that are looked at, the latest
HISTORY_TIMEOUT_SECONDS = 120.0  # for reading a history
SEARCH_TIMEOUT_SECONDS = 10.0  # for the names of one branch
MAX_COMMITS_PER_MERGE = 10  # merges are what is replayed where at least one commit in so many is one


class BacktestError(Exception):
    """There is nothing to replay; the text says why."""


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What came of it. `merges`: those were replayed; else each commit of the main line, as of squashed branches."""

    score: ForecastScore
    uses_merges: bool


async def find_git_dir(git: Git, folder: Path) -> Path:
    """The repository that a folder (its absolute path) is, or lies in. Raises `CannotReplay`."""
    try:
        result = await git.run("-C", str(folder), "rev-parse", "--absolute-git-dir")
    except GitError as error:
        message = error.stderr.splitlines()[0] if error.stderr else "git cannot read it"
        raise BacktestError(f"{folder} cannot be read as a git repository: {message}") from error
    return Path(result.stdout.decode("utf-8", "surrogateescape").rstrip("\n"))


async def run_backtest(
    git: Git, git_dir: Path, limit: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> BacktestResult:
    """Replay the latest `limit` merged branches of `HEAD`. Nothing of the repository is executed or changed.

    `progress` is told how many of how many are done. Raises `CannotReplay`, and GitError where git fails.
    """
    head = await resolve_commit(git, git_dir, "HEAD")
    if head is None:
        raise BacktestError("The repository has no commits yet.")
    commits = (await read_history(git, git_dir, head, MAX_COMMITS, timeout_seconds=HISTORY_TIMEOUT_SECONDS))[::-1]
    uses_merges = sum(len(commit.parents) > 1 for commit in commits) * MAX_COMMITS_PER_MERGE >= len(commits)
    chosen = [
        commit.sha
        for commit in commits
        if commit.parents and commit.path_changes and (len(commit.parents) > 1 or not uses_merges)
    ][-limit:]
    if not chosen:
        raise BacktestError("The repository has only one commit, so there is no history to replay.")
    chosen_shas, evaluations = frozenset(chosen), []
    paths = (
        set(await list_files(git, git_dir, commits[0].parents[0], timeout_seconds=HISTORY_TIMEOUT_SECONDS))
        if commits[0].parents
        else set()
    )
    change_history = ChangeHistory()
    for change in commits:
        text = commit_text(change.message)
        if change.sha in chosen_shas:
            file_index = FileIndex(paths)
            symbols = find_references(text).symbols
            symbol_files = await find_symbols(
                git, git_dir, change.parents[0], symbols, timeout_seconds=SEARCH_TIMEOUT_SECONDS
            )
            prediction = predict_files(TaskText(text), RepositoryKnowledge(file_index, symbol_files, change_history))
            evaluations.append(evaluate_forecast(text.partition("\n")[0], prediction, change.paths, paths))
            progress(len(evaluations), len(chosen))
        _apply_change(change, paths)
        change_history.add(FinishedWork.from_text(text, change.paths))
    return BacktestResult(ForecastScore(tuple(evaluations)), uses_merges)


def _apply_change(change: HistoryCommit, paths: set[str]) -> None:
    """What is there after the change."""
    removed = {path for status, path in change.path_changes if status == "D"}
    paths.difference_update(removed)
    paths.update(path for status, path in change.path_changes if status != "D")
