"""`orchestrator forecast <path>`: measure the forecast on a repository's history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from adapters.git import Git, check_git_version
from core.forecast.evaluation import EvaluatedForecast
from core.forecast.model import MIN_LIKELY_WEIGHT
from core.text_safety.sanitize import one_line
from engine.forecast_backtest import BacktestResult, find_git_dir, run_backtest

MAX_LISTED = 20  # branches in the table, the latest


async def run_with_progress(path: Path, limit: int, *, quiet: bool) -> BacktestResult:
    """Replay the repository at `path`; without `quiet` progress is shown on a terminal.

    Raises `BacktestError`, `GitError`, and RuntimeError if git is missing or too old.
    """
    git = Git()
    await check_git_version(git)
    git_dir = await find_git_dir(git, path)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("Replaying", total=None)
        return await run_backtest(
            git, git_dir, limit, lambda done, total_count: progress.update(task, completed=done, total=total_count)
        )


def to_json(path: Path, result: BacktestResult) -> str:
    """All figures and branches as one JSON object; a share of nothing is null."""
    score = result.score
    report: dict[str, Any] = {
        "repository": str(path),
        "replayed": "merges" if result.uses_merges else "commits",
        "branches": len(score.scored_branches),
        "left_out": len(score.branches) - len(score.scored_branches),
        "counts_from": MIN_LIKELY_WEIGHT,
        "precision": _round_share(score.precision),
        "recall": _round_share(score.recall),
        "recall_without_new_files": _round_share(score.recall_existing),
        "foreseen": sum(branch.predicted for branch in score.scored_branches),
        "changed": sum(branch.changed for branch in score.scored_branches),
        "right": sum(branch.correct for branch in score.scored_branches),
        "new_files": sum(branch.created for branch in score.scored_branches),
        "each": [
            {
                "title": one_line(branch.title, 200),
                "foreseen": branch.predicted,
                "right": branch.correct,
                "changed": branch.changed,
                "new": branch.created,
                "left_out": branch.is_wide,
            }
            for branch in score.branches
        ],
    }
    return json.dumps(report, ensure_ascii=False)


def print_report(path: Path, result: BacktestResult, console: Console) -> None:
    """The latest branches as a table, and the figures below it."""
    score = result.score
    table = Table("branch", "predicted", "right", "changed", "new", title=f"Forecasts for {path}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for branch in score.branches[-MAX_LISTED:]:
        title = Text(one_line(branch.title, 60))
        counts = ("left out", "", str(branch.changed), "") if branch.is_wide else _counts(branch)
        table.add_row(title, *counts)
    console.print(table)
    description = "merged branches" if result.uses_merges else "commits of the main line, each as a squashed branch"
    console.print(
        f"{len(score.scored_branches)} {description}; files count from a probability of {MIN_LIKELY_WEIGHT:.0%}.",
        highlight=False,
    )
    changed_count, new_count = (
        sum(branch.changed for branch in score.scored_branches),
        sum(branch.created for branch in score.scored_branches),
    )
    for text in (
        f"precision  {_format_percent(score.precision)}  of the predicted files were changed",
        f"recall     {_format_percent(score.recall)}  of the changed files were predicted",
        f"           {_format_percent(score.recall_existing)}  "
        f"without the {new_count} of {changed_count} files that are new",
    ):
        console.print(text, highlight=False)
    if wide_count := len(score.branches) - len(score.scored_branches):
        console.print(f"{wide_count} branches that changed more than 50 files are not counted.", highlight=False)


def _counts(branch: EvaluatedForecast) -> tuple[str, str, str, str]:
    return str(branch.predicted), str(branch.correct), str(branch.changed), str(branch.created)


def _format_percent(share: float | None) -> str:
    return "  \u2013 " if share is None else f"{share:4.0%}"


def _round_share(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
