"""Describes a forecast and computes the overlap of two tasks.

`core.forecast.predict` makes the forecast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_FILES = 50
"""Files of one forecast: further ones are too unlikely to matter, and the task is read with every change."""

COUNTS_FROM = 0.3
"""A file that is at least this likely is shown to people and counts in precision and recall.

Less likely ones still count for the overlap, where many small chances add up.
"""


@dataclass(frozen=True, slots=True)
class PredictedFile:
    """One file that a task will probably change: how likely (0…1), and why."""

    path: str
    weight: float
    why: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast for one text, the likeliest file first. `informed`: the files of the repository were known."""

    files: tuple[PredictedFile, ...] = ()
    digest: str = ""  # of the text of this forecast
    informed: bool = False

    @property
    def likely(self) -> tuple[PredictedFile, ...]:
        """The files that are likely enough to show."""
        return tuple(file for file in self.files if file.weight >= COUNTS_FROM)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How likely it is (0…1) that two tasks change a common file, and the files, the likeliest first."""

    probability: float
    files: tuple[str, ...] = ()


def chances(foreseen: Iterable[PredictedFile], touched: Iterable[str] = ()) -> dict[str, float]:
    """How likely each file is to be changed; a file that a branch has `touched` is certain."""
    return {file.path: file.weight for file in foreseen} | dict.fromkeys(touched, 1.0)


def overlap(one: Mapping[str, float], other: Mapping[str, float]) -> Overlap:
    """The probability that both change at least one common file: 1 - Π(1 - p·q) over the files of both.

    This treats files as independent. They are not, so the sum of many small probabilities is too high rather than too
    low; a forecast holds few files, which keeps the error small.
    """
    shared = {path: one[path] * other[path] for path in sorted(one.keys() & other.keys())}
    apart = 1.0
    for chance in shared.values():
        apart *= 1.0 - chance
    files = sorted((path for path in shared if shared[path] > 0), key=lambda path: (-shared[path], path))
    return Overlap(1.0 - apart, tuple(files))
