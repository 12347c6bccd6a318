"""The answer to `/conflicts`: the open pull requests, and how each two of them merge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from core.conflicts.merge_order import Order, Ready, merge_order
from core.conflicts.pulls import Flight, Pair
from core.conflicts.summary import named
from core.task.model import Task
from core.texts.render import render

WIDEST = 12  # pull requests that are shown as a table; of more, only the conflicts are


@dataclass(frozen=True, slots=True)
class Row:
    """One pull request in the table, with a sign for each of the others and one for its base."""

    number: int
    task: int | None
    cells: tuple[str, ...]
    base: str


@dataclass(frozen=True, slots=True)
class Met:
    """Two that conflict."""

    first: int
    later: int
    files: str
    said: str


def matrix_text(
    flights: Sequence[Flight],
    pairs: Sequence[Pair],
    task: Task | None,
    conflicts: Sequence[str],
    trial: str | None,
) -> str:
    """All open pull requests against each other; of the `task` where it was asked, its own `conflicts` as well."""
    there = {flight.number: flight for flight in flights}
    known = {(pair.one, pair.other): pair for pair in pairs if {pair.one, pair.other} <= there.keys()}
    clashes = [_met(pair, there) for pair in known.values() if not pair.clean]
    return render(
        "conflicts",
        task=task,
        conflicts=conflicts,
        trial=trial,
        total=len(flights),
        rows=[_row(flight, flights, known) for flight in flights] if len(flights) <= WIDEST else [],
        clashes=clashes,
        shared=len(known) - len(clashes),
        orders=orders(flights, known.values()),
    )


def _row(flight: Flight, flights: Sequence[Flight], known: Mapping[tuple[int, int], Pair]) -> Row:
    cells = tuple(_sign(flight, other, known) for other in flights)
    tried = flight.trial.clean if flight.trial else None
    return Row(flight.number, flight.task, cells, {True: "✓", False: "✕", None: "?"}[tried])


def _sign(one: Flight, other: Flight, known: Mapping[tuple[int, int], Pair]) -> str:
    if one.number == other.number or one.base != other.base:
        return "\u00b7"
    if pair := known.get((min(one.number, other.number), max(one.number, other.number))):
        return "≈" if pair.clean else "✕"
    # One that does not merge with the base is compared with the others when that is mended.
    return "✓" if all(flight.trial and flight.trial.clean for flight in (one, other)) else "?"


def _met(pair: Pair, there: Mapping[int, Flight]) -> Met:
    first, later = sorted((there[pair.one], there[pair.other]), key=lambda flight: (flight.opened_at, flight.number))
    said = f"#{first.number} was opened first, on {first.opened_at:%Y-%m-%d %H:%M} UTC"
    return Met(first.number, later.number, named(pair.files), said)


def orders(flights: Sequence[Flight], pairs: Collection[Pair]) -> list[tuple[str, Order]]:
    """For each base the order of merging what is ready; only where there is something to choose."""
    clashes = [(pair.one, pair.other) for pair in pairs if not pair.clean]
    carried = {flight.task: flight.number for flight in flights if flight.task is not None}
    found = []
    for base in sorted({flight.base for flight in flights}):
        there = [flight for flight in flights if flight.base == base and flight.ready]
        after = {flight.number: [carried[task] for task in flight.needs if task in carried] for flight in there}
        if len(there) > 1:
            ready = [Ready(flight.number, flight.rank, flight.opened_at) for flight in there]
            found.append((base, merge_order(ready, clashes, after)))
    return found
