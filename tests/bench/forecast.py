"""How well files are foreseen: the merged branches of the generated history are replayed, as on any repository."""

from __future__ import annotations

from pathlib import Path

from adapters.git import Git
from core.forecast.model import MIN_LIKELY_WEIGHT
from engine.forecast_backtest import run_backtest
from tests.bench.figure import Figure


async def forecast_figures(repository: Path, limit: int) -> list[Figure]:
    """Precision and recall over the latest `limit` merges of a repository (its git directory)."""
    score = (await run_backtest(Git(), repository, limit)).score
    counted_branches = score.scored_branches
    details = {
        "branches": len(counted_branches),
        "counts_from": MIN_LIKELY_WEIGHT,
        "foreseen": sum(branch.predicted for branch in counted_branches),
        "changed": sum(branch.changed for branch in counted_branches),
        "right": sum(branch.correct for branch in counted_branches),
    }
    new_file_details = {
        "of_files_that_were_there": round(score.recall_existing or 0.0, 3),
        "new_files": sum(branch.created for branch in counted_branches),
    }
    return [
        Figure("forecast_precision", score.precision or 0.0, "of foreseen files", None, details=details),
        Figure(
            "forecast_recall", score.recall or 0.0, "of changed files", None, details={**details, **new_file_details}
        ),
    ]
