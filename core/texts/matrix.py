"""Writes the answer to `/conflicts`: open pull requests and how each pair merges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from core.conflicts.merge_order import MergeablePull, MergeOrder, merge_order
from core.conflicts.pulls import OpenPull, PullPair
from core.conflicts.summary import format_files
from core.task.model import Task
from core.texts.render import render

MAX_TABLE_PULLS = 12  # pull requests shown as a table; with more, only the conflicts are


@dataclass(frozen=True, slots=True)
class PullRow:
    """One pull request in the table, with a sign for each of the others and one for its base."""

    number: int
    task: int | None
    cells: tuple[str, ...]
    base: str


@dataclass(frozen=True, slots=True)
class PairResult:
    """Two that conflict."""

    first: int
    later: int
    files: str
    said: str


def matrix_text(
    open_pulls: Sequence[OpenPull],
    pairs: Sequence[PullPair],
    task: Task | None,
    conflicts: Sequence[str],
    trial: str | None,
) -> str:
    """All open pull requests against each other; on a `task`, its own `conflicts` as well."""
    pulls_by_number = {pull.number: pull for pull in open_pulls}
    known_pairs = {pair.numbers: pair for pair in pairs if set(pair.numbers) <= pulls_by_number.keys()}
    conflicting_pairs = [_pair_result(pair, pulls_by_number) for pair in known_pairs.values() if not pair.is_clean]
    return render(
        "conflicts",
        task=task,
        conflicts=conflicts,
        trial=trial,
        total=len(open_pulls),
        rows=[_row(pull, open_pulls, known_pairs) for pull in open_pulls] if len(open_pulls) <= MAX_TABLE_PULLS else [],
        clashes=conflicting_pairs,
        shared=len(known_pairs) - len(conflicting_pairs),
        orders=merge_orders(open_pulls, known_pairs.values()),
    )


def _row(pull: OpenPull, open_pulls: Sequence[OpenPull], known_pairs: Mapping[tuple[int, int], PullPair]) -> PullRow:
    cells = tuple(_sign(pull, other, known_pairs) for other in open_pulls)
    is_clean = pull.trial_merge.clean if pull.trial_merge else None
    return PullRow(pull.number, pull.task, cells, {True: "✓", False: "✕", None: "?"}[is_clean])


def _sign(pull: OpenPull, other: OpenPull, known_pairs: Mapping[tuple[int, int], PullPair]) -> str:
    if pull.number == other.number or pull.base != other.base:
        return "\u00b7"
    if pair := known_pairs.get((min(pull.number, other.number), max(pull.number, other.number))):
        return "≈" if pair.is_clean else "✕"
    # A pull request that conflicts with the base is compared with the others once that is fixed.
    return "✓" if all(side.trial_merge and side.trial_merge.clean for side in (pull, other)) else "?"


def _pair_result(pair: PullPair, pulls_by_number: Mapping[int, OpenPull]) -> PairResult:
    first, later = sorted(
        (pulls_by_number[pair.low_number], pulls_by_number[pair.high_number]),
        key=lambda pull: (pull.opened_at, pull.number),
    )
    opening = f"#{first.number} was opened first, on {first.opened_at:%Y-%m-%d %H:%M} UTC"
    return PairResult(first.number, later.number, format_files(pair.files), opening)


def merge_orders(open_pulls: Sequence[OpenPull], pairs: Collection[PullPair]) -> list[tuple[str, MergeOrder]]:
    """The merge order of ready pull requests for each base, if there is a choice."""
    conflicts = [pair.numbers for pair in pairs if not pair.is_clean]
    pull_of_task = {pull.task: pull.number for pull in open_pulls if pull.task is not None}
    result = []
    for base in sorted({pull.base for pull in open_pulls}):
        ready_pulls = [pull for pull in open_pulls if pull.base == base and pull.is_mergeable]
        predecessors = {
            pull.number: [pull_of_task[task] for task in pull.dependencies if task in pull_of_task]
            for pull in ready_pulls
        }
        if len(ready_pulls) > 1:
            mergeable_pulls = [MergeablePull(pull.number, pull.rank, pull.opened_at) for pull in ready_pulls]
            result.append((base, merge_order(mergeable_pulls, conflicts, predecessors)))
    return result
