"""`orchestrator forecast <path>`: how good forecasts would have been on the history of a repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from adapters.git import Git, check_git_version
from core.forecast.model import COUNTS_FROM
from core.text_safety.sanitize import one_line
from engine.forecast_backtest import BacktestResult, git_dir_of, replay

SHOWN = 20  # branches in the table, the latest


async def replayed(path: Path, limit: int, *, quiet: bool) -> BacktestResult:
    """Replay the repository at `path`; without `quiet` progress is shown on a terminal.

    Raises `CannotReplay`, `GitError`, and RuntimeError where git is missing or too old.
    """
    git = Git()
    await check_git_version(git)
    git_dir = await git_dir_of(git, path)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("Replaying", total=None)
        return await replay(git, git_dir, limit, lambda done, of: bar.update(task, completed=done, total=of))


def as_json(path: Path, found: BacktestResult) -> str:
    """All figures and branches as one JSON object; a share of nothing is null."""
    score = found.score
    told: dict[str, Any] = {
        "repository": str(path),
        "replayed": "merges" if found.merges else "commits",
        "branches": len(score.counted),
        "left_out": len(score.branches) - len(score.counted),
        "counts_from": COUNTS_FROM,
        "precision": _rounded(score.precision),
        "recall": _rounded(score.recall),
        "recall_without_new_files": _rounded(score.recall_of_old),
        "foreseen": sum(one.foreseen for one in score.counted),
        "changed": sum(one.changed for one in score.counted),
        "right": sum(one.right for one in score.counted),
        "new_files": sum(one.new for one in score.counted),
        "each": [
            {
                "title": one_line(one.title, 200),
                "foreseen": one.foreseen,
                "right": one.right,
                "changed": one.changed,
                "new": one.new,
                "left_out": one.wide,
            }
            for one in score.branches
        ],
    }
    return json.dumps(told, ensure_ascii=False)


def show(path: Path, found: BacktestResult, console: Console) -> None:
    """The latest branches as a table, and the figures below it."""
    score = found.score
    table = Table("branch", "predicted", "right", "changed", "new", title=f"Forecasts for {path}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in score.branches[-SHOWN:]:
        title = Text(one_line(one.title, 60))
        counts = ("left out", "", str(one.changed), "") if one.wide else _counts(one)
        table.add_row(title, *counts)
    console.print(table)
    what = "merged branches" if found.merges else "commits of the main line, each as a squashed branch"
    console.print(f"{len(score.counted)} {what}; files count from a probability of {COUNTS_FROM:.0%}.", highlight=False)
    changed, new = sum(one.changed for one in score.counted), sum(one.new for one in score.counted)
    for text in (
        f"precision  {_percent(score.precision)}  of the predicted files were changed",
        f"recall     {_percent(score.recall)}  of the changed files were predicted",
        f"           {_percent(score.recall_of_old)}  without the {new} of {changed} files that are new",
    ):
        console.print(text, highlight=False)
    if wide := len(score.branches) - len(score.counted):
        console.print(f"{wide} branches that changed more than 50 files are not counted.", highlight=False)


def _counts(one: Any) -> tuple[str, str, str, str]:
    return str(one.foreseen), str(one.right), str(one.changed), str(one.new)


def _percent(share: float | None) -> str:
    return "  \u2013 " if share is None else f"{share:4.0%}"


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
