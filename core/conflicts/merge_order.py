"""Computes the merge order of ready pull requests that causes the fewest conflicts.

A pull request needs a fix if it conflicts with one that was merged before it. Those that need none form a set without
conflicts inside, so the best order begins with the largest such set. The search is exact for connected groups of up to
twelve; beyond that it is a greedy choice, improved until no exchange of one for two helps.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

EXACT_UP_TO: Final = 12


@dataclass(frozen=True, slots=True)
class MergeablePull:
    """A pull request that could be merged now: number, urgency (0 is the most urgent), and time it was opened."""

    number: int
    rank: int
    since: datetime


@dataclass(frozen=True, slots=True)
class MergeOrder:
    """The numbers in order, those that will have a conflict, and whether no order has fewer."""

    sequence: tuple[int, ...]
    mend: tuple[int, ...]
    exact: bool


def merge_order(
    ready: Sequence[MergeablePull],
    clashes: Collection[tuple[int, int]],
    after: Mapping[int, Collection[int]],
    *,
    exact_up_to: int = EXACT_UP_TO,
) -> MergeOrder:
    """Return an order that leaves the fewest conflicts.

    `clashes` are pairs that cannot both be merged. `after` are the numbers that each must wait for; numbers that are
    not ready, and numbers that wait for each other, are ignored. Among equally good orders the more urgent comes first,
    then the older. The result does not depend on the order of the input.
    """
    known = [pull.number for pull in sorted(ready, key=lambda pull: (pull.rank, pull.since, pull.number))]
    world = _Graph(known, clashes, after)
    spared: set[int] = set()
    exact = True
    for group in world.groups():
        contested = [number for number in group if world.against[number]]
        small = len(contested) <= exact_up_to
        exact &= small
        spared |= (_best if small else _good)(world, group, contested)
    sequence = world.sequence(known, spared)
    seen: set[int] = set()
    mend: list[int] = []
    for number in sequence or known:
        if not seen.isdisjoint(world.against[number]):
            mend.append(number)
        seen.add(number)
    return MergeOrder(tuple(sequence or known), tuple(mend), exact)


class _Graph:
    """Pull requests by index: what each conflicts with, and what each must wait for."""

    def __init__(
        self, known: Sequence[int], clashes: Iterable[tuple[int, int]], after: Mapping[int, Collection[int]]
    ) -> None:
        self.place = {number: place for place, number in enumerate(known)}
        self.against: dict[int, set[int]] = {number: set() for number in known}
        for one, other in clashes:
            if one != other and one in self.place and other in self.place:
                self.against[one].add(other)
                self.against[other].add(one)
        waits = {number: {n for n in after.get(number, ()) if n in self.place and n != number} for number in known}
        reach = {number: _reached(number, waits) for number in known}
        self.waits = {number: {n for n in waits[number] if number not in reach[n]} for number in known}

    def groups(self) -> list[list[int]]:
        """The groups that are connected by conflicts or by waiting, each in order of index."""
        near: dict[int, set[int]] = {number: set(others) for number, others in self.against.items()}
        for number, others in self.waits.items():
            for other in others:
                near[number].add(other)
                near[other].add(number)
        left = dict.fromkeys(self.place)
        groups: list[list[int]] = []
        while left:
            first = next(iter(left))
            group = {first} | _reached(first, near)
            groups.append([number for number in left if number in group])
            for number in group:
                del left[number]
        return groups

    def sequence(self, group: Iterable[int], spared: Collection[int]) -> list[int]:
        """The group in an order in which no member of `spared` comes after one that it conflicts with.

        Empty if the waiting rules allow no such order.
        """
        members = list(group)
        behind: dict[int, list[int]] = {number: [] for number in members}
        open_for = dict.fromkeys(members, 0)
        for number in members:
            firsts = self.waits[number] | {other for other in self.against[number] if other in spared}
            for first in firsts:
                behind[first].append(number)
            open_for[number] = len(firsts)
        free = [self.place[number] for number in members if not open_for[number]]
        by_place = {self.place[number]: number for number in members}
        heapq.heapify(free)
        order: list[int] = []
        while free:
            number = by_place[heapq.heappop(free)]
            order.append(number)
            for later in behind[number]:
                open_for[later] -= 1
                if not open_for[later]:
                    heapq.heappush(free, self.place[later])
        return order if len(order) == len(members) else []

    def allows(self, group: Sequence[int], spared: Collection[int]) -> bool:
        """Whether an order exists that spares all of these."""
        return not any(self.waits[number] for number in group) or bool(self.sequence(group, spared))


def _reached(start: int, near: Mapping[int, Collection[int]]) -> set[int]:
    found: set[int] = set()
    todo = [start]
    while todo:
        for other in near[todo.pop()]:
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def _best(world: _Graph, group: Sequence[int], contested: Sequence[int]) -> set[int]:
    """The largest set without conflicts inside; of several, the one with the lowest first index."""
    best: list[int] = []
    chosen: list[int] = []

    def look(at: int, blocked: frozenset[int]) -> None:
        nonlocal best
        if len(chosen) > len(best):
            best = list(chosen)
        left = [number for number in contested[at:] if number not in blocked]
        for place, number in enumerate(left):
            if len(chosen) + len(left) - place <= len(best):
                return
            if world.allows(group, [*chosen, number]):
                chosen.append(number)
                look(contested.index(number) + 1, blocked | world.against[number])
                chosen.pop()

    look(0, frozenset())
    return set(best)


def _good(world: _Graph, group: Sequence[int], contested: Sequence[int]) -> set[int]:
    """A large set without conflicts inside: greedy by fewest conflicts, then improved."""
    left = set(contested)
    chosen: set[int] = set()
    while left:
        number = min(left, key=lambda one: (len(world.against[one] & left), world.place[one]))
        left.discard(number)
        if world.allows(group, {*chosen, number}):
            chosen.add(number)
            left -= world.against[number]
    while (better := _exchanged(world, group, contested, chosen)) is not None:
        chosen = better
    return chosen


def _exchanged(world: _Graph, group: Sequence[int], contested: Sequence[int], chosen: set[int]) -> set[int] | None:
    """The set with one more member, by adding one or exchanging one for two; None if neither is possible."""
    only: dict[int, list[int]] = {}
    for number in contested:
        if number not in chosen:
            against = world.against[number] & chosen
            if not against and world.allows(group, {*chosen, number}):
                return {*chosen, number}
            if len(against) == 1:
                only.setdefault(next(iter(against)), []).append(number)
    for out in sorted(only, key=world.place.__getitem__):
        rest = chosen - {out}
        for place, one in enumerate(only[out]):
            for other in only[out][place + 1 :]:
                if other not in world.against[one] and world.allows(group, {*rest, one, other}):
                    return {*rest, one, other}
    return None
