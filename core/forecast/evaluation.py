"""Measures the quality of forecasts against the files that were changed.

Files are counted over all branches together (micro-averaged), so a branch that changed many counts for many. A new file
can only be predicted if the text names its path; it counts as missed, and the number of such files is reported
separately.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from core.forecast.history import MAX_CHANGED_FILES
from core.forecast.model import MIN_LIKELY_WEIGHT, Forecast


@dataclass(frozen=True, slots=True)
class EvaluatedForecast:
    """One branch: numbers of files predicted (from `COUNTS_FROM` on), changed, both, and created unpredicted."""

    title: str
    predicted: int
    changed: int
    correct: int
    created: int

    @property
    def is_wide(self) -> bool:
        """Whether it changed so many files that it is no single piece of work: it is left out."""
        return self.changed > MAX_CHANGED_FILES


def evaluate_forecast(
    title: str, forecast: Forecast, changed: Iterable[str], existing: Collection[str]
) -> EvaluatedForecast:
    """Compare a forecast with the files that were `changed`; `existing` are the files that existed before."""
    likely = {file.path for file in forecast.files if file.weight >= MIN_LIKELY_WEIGHT}
    actual = set(changed)
    return EvaluatedForecast(
        title, len(likely), len(actual), len(likely & actual), sum(path not in existing for path in actual - likely)
    )


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """The result over many branches. A share of nothing is None."""

    branches: tuple[EvaluatedForecast, ...]

    @property
    def scored_branches(self) -> tuple[EvaluatedForecast, ...]:
        """The branches without the wide ones."""
        return tuple(branch for branch in self.branches if not branch.is_wide)

    @property
    def precision(self) -> float | None:
        """The share of predicted files that were changed."""
        return _share(
            sum(branch.correct for branch in self.scored_branches),
            sum(branch.predicted for branch in self.scored_branches),
        )

    @property
    def recall(self) -> float | None:
        """The share of changed files that were predicted."""
        return _share(
            sum(branch.correct for branch in self.scored_branches),
            sum(branch.changed for branch in self.scored_branches),
        )

    @property
    def recall_existing(self) -> float | None:
        """The recall without files that a branch created unpredicted."""
        return _share(
            sum(branch.correct for branch in self.scored_branches),
            sum(branch.changed - branch.created for branch in self.scored_branches),
        )


def _share(part: int, total: int) -> float | None:
    return part / total if total else None
