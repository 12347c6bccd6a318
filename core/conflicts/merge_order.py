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
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class MergeOrder:
    """The numbers in order, those that will have a conflict, and whether no order has fewer."""

    sequence: tuple[int, ...]
    conflicting: tuple[int, ...]
    exact: bool


def merge_order(
    pulls: Sequence[MergeablePull],
    conflicts: Collection[tuple[int, int]],
    dependencies: Mapping[int, Collection[int]],
    *,
    exact_up_to: int = EXACT_UP_TO,
) -> MergeOrder:
    """Return an order that leaves the fewest conflicts.

    `conflicts` are pairs that cannot both be merged. `dependencies` are the numbers that each must wait for; numbers
    that are not ready, and numbers that wait for each other, are ignored. Among equally good orders the more urgent
    comes first, then the older. The result does not depend on the order of the input.
    """
    numbers = [pull.number for pull in sorted(pulls, key=lambda pull: (pull.rank, pull.opened_at, pull.number))]
    graph = _Graph(numbers, conflicts, dependencies)
    conflict_free: set[int] = set()
    exact = True
    for group in graph.groups():
        contested = [number for number in group if graph.conflicts[number]]
        is_small = len(contested) <= exact_up_to
        exact &= is_small
        conflict_free |= (_largest_set if is_small else _greedy_set)(graph, group, contested)
    sequence = graph.sequence(numbers, conflict_free)
    merged: set[int] = set()
    conflicting: list[int] = []
    for number in sequence or numbers:
        if not merged.isdisjoint(graph.conflicts[number]):
            conflicting.append(number)
        merged.add(number)
    return MergeOrder(tuple(sequence or numbers), tuple(conflicting), exact)


class _Graph:
    """Pull requests by index: what each conflicts with, and what each must wait for."""

    def __init__(
        self, numbers: Sequence[int], pairs: Iterable[tuple[int, int]], dependencies: Mapping[int, Collection[int]]
    ) -> None:
        self.position = {number: position for position, number in enumerate(numbers)}
        self.conflicts: dict[int, set[int]] = {number: set() for number in numbers}
        for first, second in pairs:
            if first != second and first in self.position and second in self.position:
                self.conflicts[first].add(second)
                self.conflicts[second].add(first)
        direct = {
            number: {n for n in dependencies.get(number, ()) if n in self.position and n != number}
            for number in numbers
        }
        reachable = {number: _reachable(number, direct) for number in numbers}
        self.dependencies = {number: {n for n in direct[number] if number not in reachable[n]} for number in numbers}

    def groups(self) -> list[list[int]]:
        """The groups that are connected by conflicts or by waiting, each in order of index."""
        neighbors: dict[int, set[int]] = {number: set(others) for number, others in self.conflicts.items()}
        for number, others in self.dependencies.items():
            for other in others:
                neighbors[number].add(other)
                neighbors[other].add(number)
        remaining = dict.fromkeys(self.position)
        groups: list[list[int]] = []
        while remaining:
            start = next(iter(remaining))
            group = {start} | _reachable(start, neighbors)
            groups.append([number for number in remaining if number in group])
            for number in group:
                del remaining[number]
        return groups

    def sequence(self, group: Iterable[int], conflict_free: Collection[int]) -> list[int]:
        """The group in an order in which no member of `conflict_free` comes after one that it conflicts with.

        Empty if the waiting rules allow no such order.
        """
        members = list(group)
        dependents: dict[int, list[int]] = {number: [] for number in members}
        blocker_counts = dict.fromkeys(members, 0)
        for number in members:
            blockers = self.dependencies[number] | {other for other in self.conflicts[number] if other in conflict_free}
            for blocker in blockers:
                dependents[blocker].append(number)
            blocker_counts[number] = len(blockers)
        ready = [self.position[number] for number in members if not blocker_counts[number]]
        by_position = {self.position[number]: number for number in members}
        heapq.heapify(ready)
        order: list[int] = []
        while ready:
            number = by_position[heapq.heappop(ready)]
            order.append(number)
            for dependent in dependents[number]:
                blocker_counts[dependent] -= 1
                if not blocker_counts[dependent]:
                    heapq.heappush(ready, self.position[dependent])
        return order if len(order) == len(members) else []

    def can_order(self, group: Sequence[int], conflict_free: Collection[int]) -> bool:
        """Whether an order exists that spares all of these."""
        return not any(self.dependencies[number] for number in group) or bool(self.sequence(group, conflict_free))


def _reachable(start: int, neighbors: Mapping[int, Collection[int]]) -> set[int]:
    visited: set[int] = set()
    pending = [start]
    while pending:
        for neighbor in neighbors[pending.pop()]:
            if neighbor not in visited:
                visited.add(neighbor)
                pending.append(neighbor)
    return visited


def _largest_set(graph: _Graph, group: Sequence[int], contested: Sequence[int]) -> set[int]:
    """The largest set without conflicts inside; of several, the one with the lowest first index."""
    best: list[int] = []
    chosen: list[int] = []

    def search(start: int, blocked: frozenset[int]) -> None:
        nonlocal best
        if len(chosen) > len(best):
            best = list(chosen)
        candidates = [number for number in contested[start:] if number not in blocked]
        for position, number in enumerate(candidates):
            if len(chosen) + len(candidates) - position <= len(best):
                return
            if graph.can_order(group, [*chosen, number]):
                chosen.append(number)
                search(contested.index(number) + 1, blocked | graph.conflicts[number])
                chosen.pop()

    search(0, frozenset())
    return set(best)


def _greedy_set(graph: _Graph, group: Sequence[int], contested: Sequence[int]) -> set[int]:
    """A large set without conflicts inside: greedy by fewest conflicts, then improved."""
    remaining = set(contested)
    chosen: set[int] = set()
    while remaining:
        number = min(
            remaining, key=lambda candidate: (len(graph.conflicts[candidate] & remaining), graph.position[candidate])
        )
        remaining.discard(number)
        if graph.can_order(group, {*chosen, number}):
            chosen.add(number)
            remaining -= graph.conflicts[number]
    while (better := _improved_set(graph, group, contested, chosen)) is not None:
        chosen = better
    return chosen


def _improved_set(graph: _Graph, group: Sequence[int], contested: Sequence[int], chosen: set[int]) -> set[int] | None:
    """The set with one more member, by adding one or exchanging one for two; None if neither is possible."""
    single_conflicts: dict[int, list[int]] = {}
    for number in contested:
        if number not in chosen:
            conflicts = graph.conflicts[number] & chosen
            if not conflicts and graph.can_order(group, {*chosen, number}):
                return {*chosen, number}
            if len(conflicts) == 1:
                single_conflicts.setdefault(next(iter(conflicts)), []).append(number)
    for removed in sorted(single_conflicts, key=graph.position.__getitem__):
        remaining = chosen - {removed}
        for position, first in enumerate(single_conflicts[removed]):
            for second in single_conflicts[removed][position + 1 :]:
                if second not in graph.conflicts[first] and graph.can_order(group, {*remaining, first, second}):
                    return {*remaining, first, second}
    return None
