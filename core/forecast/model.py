"""Describes a forecast and computes the overlap of two tasks.

`core.forecast.predict` makes the forecast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_FILES = 50
"""Files of one forecast: of more, each is too unlikely to matter, and the task is read with every change."""

COUNTS_FROM = 0.3
"""A file that is at least this likely is shown to people and counts in precision and recall.

Less likely ones still count for the overlap, where many small chances add up.
"""


@dataclass(frozen=True, slots=True)
class PredictedFile:
    """One file that a task is likely to change: how likely (0…1), and why it is thought so."""

    path: str
    weight: float
    why: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foreseen of one text, the likeliest first. `informed`: the files of the repository were known."""

    files: tuple[PredictedFile, ...] = ()
    digest: str = ""  # of the text that it was made from
    informed: bool = False

    @property
    def likely(self) -> tuple[PredictedFile, ...]:
        """Those that are worth telling."""
        return tuple(file for file in self.files if file.weight >= COUNTS_FROM)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How likely it is (0…1) that two tasks change a same file, and the files, the likeliest first."""

    probability: float
    files: tuple[str, ...] = ()


def chances(foreseen: Iterable[PredictedFile], touched: Iterable[str] = ()) -> dict[str, float]:
    """How likely each file is to be changed; what a branch has `touched` is certain."""
    return {file.path: file.weight for file in foreseen} | dict.fromkeys(touched, 1.0)


def overlap(one: Mapping[str, float], other: Mapping[str, float]) -> Overlap:
    """The chance that both change at least one same file: 1 - Π(1 - p·q) over the files of both.

    Taken as if files were independent of each other. They are not, so the sum of many small chances says too much
    rather than too little; a forecast holds few files, and that keeps it small.
    """
    shared = {path: one[path] * other[path] for path in sorted(one.keys() & other.keys())}
    apart = 1.0
    for chance in shared.values():
        apart *= 1.0 - chance
    files = sorted((path for path in shared if shared[path] > 0), key=lambda path: (-shared[path], path))
    return Overlap(1.0 - apart, tuple(files))
