"""Measures the quality of forecasts against the files that were changed.

Files are counted over all branches together (micro-averaged), so a branch that changed many counts for many. A new file
can only be predicted if the text names its path; it counts as missed, and the number of such files is reported
separately.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from core.forecast.history import WIDE
from core.forecast.model import COUNTS_FROM, Forecast


@dataclass(frozen=True, slots=True)
class EvaluatedForecast:
    """One branch: numbers of files predicted (from `COUNTS_FROM` on), changed, both, and created unpredicted."""

    title: str
    foreseen: int
    changed: int
    right: int
    new: int

    @property
    def wide(self) -> bool:
        """Whether it changed so many files that it is no single piece of work: it is left out."""
        return self.changed > WIDE


def judged(title: str, forecast: Forecast, changed: Iterable[str], there: Collection[str]) -> EvaluatedForecast:
    """Compare a forecast with the files that were `changed`; `there` are the files that existed before."""
    likely = {file.path for file in forecast.files if file.weight >= COUNTS_FROM}
    real = set(changed)
    return EvaluatedForecast(
        title, len(likely), len(real), len(likely & real), sum(p not in there for p in real - likely)
    )


@dataclass(frozen=True, slots=True)
class Score:
    """The result over many branches. A share of nothing is None."""

    branches: tuple[EvaluatedForecast, ...]

    @property
    def counted(self) -> tuple[EvaluatedForecast, ...]:
        """The branches without the wide ones."""
        return tuple(one for one in self.branches if not one.wide)

    @property
    def precision(self) -> float | None:
        """The share of predicted files that were changed."""
        return _share(sum(one.right for one in self.counted), sum(one.foreseen for one in self.counted))

    @property
    def recall(self) -> float | None:
        """The share of changed files that were predicted."""
        return _share(sum(one.right for one in self.counted), sum(one.changed for one in self.counted))

    @property
    def recall_of_old(self) -> float | None:
        """The recall without files that a branch created unpredicted."""
        return _share(sum(one.right for one in self.counted), sum(one.changed - one.new for one in self.counted))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
