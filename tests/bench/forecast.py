"""How well files are foreseen: the merged branches of the generated history are replayed, as on any repository."""

from __future__ import annotations

from pathlib import Path

from adapters.git import Git
from core.forecast.model import COUNTS_FROM
from engine.forecast_backtest import replay
from tests.bench.figure import Figure


async def forecasts(repository: Path, limit: int) -> list[Figure]:
    """Precision and recall over the latest `limit` merges of a repository (its git directory)."""
    score = (await replay(Git(), repository, limit)).score
    counted = score.counted
    how = {
        "branches": len(counted),
        "counts_from": COUNTS_FROM,
        "foreseen": sum(one.foreseen for one in counted),
        "changed": sum(one.changed for one in counted),
        "right": sum(one.right for one in counted),
    }
    new = {
        "of_files_that_were_there": round(score.recall_of_old or 0.0, 3),
        "new_files": sum(one.new for one in counted),
    }
    return [
        Figure("forecast_precision", score.precision or 0.0, "of foreseen files", None, how=how),
        Figure("forecast_recall", score.recall or 0.0, "of changed files", None, how={**how, **new}),
    ]
