"""Describes a forecast and computes the overlap of two tasks.

`core.forecast.predict` makes the forecast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_FILES = 50
"""Files of one forecast: further ones are too unlikely to matter, and the task is read with every change."""

MIN_LIKELY_WEIGHT = 0.3
"""A file that is at least this likely is shown to people and counts in precision and recall.

Less likely ones still count for the overlap, where many small chances add up.
"""


@dataclass(frozen=True, slots=True)
class PredictedFile:
    """One file that a task will probably change: how likely (0…1), and why."""

    path: str
    weight: float
    reason: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast for one text, the likeliest file first. `informed`: the files of the repository were known."""

    files: tuple[PredictedFile, ...] = ()
    text_digest: str = ""  # of the text of this forecast
    files_known: bool = False

    @property
    def likely(self) -> tuple[PredictedFile, ...]:
        """The files that are likely enough to show."""
        return tuple(file for file in self.files if file.weight >= MIN_LIKELY_WEIGHT)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How likely it is (0…1) that two tasks change a common file, and the files, the likeliest first."""

    probability: float
    files: tuple[str, ...] = ()


def change_probabilities(predicted: Iterable[PredictedFile], changed_files: Iterable[str] = ()) -> dict[str, float]:
    """How likely each file is to be changed; each of the `changed_files` of a branch is certain."""
    return {file.path: file.weight for file in predicted} | dict.fromkeys(changed_files, 1.0)


def overlap(first: Mapping[str, float], second: Mapping[str, float]) -> Overlap:
    """The probability that both change at least one common file: 1 - Π(1 - p·q) over the files of both.

    This treats files as independent. They are not, so the sum of many small probabilities is too high rather than too
    low; a forecast holds few files, which keeps the error small.
    """
    shared_probabilities = {path: first[path] * second[path] for path in sorted(first.keys() & second.keys())}
    no_overlap = 1.0
    for probability in shared_probabilities.values():
        no_overlap *= 1.0 - probability
    files = sorted(
        (path for path in shared_probabilities if shared_probabilities[path] > 0),
        key=lambda path: (-shared_probabilities[path], path),
    )
    return Overlap(1.0 - no_overlap, tuple(files))
