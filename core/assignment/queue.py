"""Orders the queue and walks the dependency graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, TypeVar

from core.task.model import Flag, Task

Node = TypeVar("Node", int, str)  # a number in one repository, or a reference across several
Graph = Mapping[Node, Sequence[Node]]  # task → the tasks it depends on
QueueState: TypeAlias = Literal["queued", "overflow"]


def dependents_depth(graph: Graph[int]) -> dict[int, int]:
    """For each task, the number of tasks on the longest chain that depends on it, which finishing it unblocks.

    Tasks on a cycle, and tasks that only such tasks unblock, count as 0: finishing them gains nothing until the cycle
    is broken. Linear in tasks and dependencies, and without recursion, because a chain may be longer than Python's
    stack.
    """
    dependents: dict[int, list[int]] = {number: [] for number in graph}
    waiting_behind: dict[int, int] = dict.fromkeys(graph, 0)
    for number, needs in graph.items():
        for need in set(needs):
            if need in dependents:
                dependents[need].append(number)
                waiting_behind[need] += 1
    # Kahn's algorithm, backwards: remove the tasks without dependents and walk towards their dependencies.
    lengths = dict.fromkeys(graph, 0)
    leaves = [number for number, count in waiting_behind.items() if count == 0]
    while leaves:
        number = leaves.pop()
        for need in set(graph[number]):
            if need not in waiting_behind:
                continue
            lengths[need] = max(lengths[need], lengths[number] + 1)
            waiting_behind[need] -= 1
            if waiting_behind[need] == 0:
                leaves.append(need)
    return {number: 0 if waiting_behind[number] else length for number, length in lengths.items()}


def cycle_through(graph: Graph[Node], start: Node) -> tuple[Node, ...]:
    """The shortest cycle of dependencies through `start`, beginning with it; empty if there is none."""
    came_from: dict[Node, Node] = {}
    frontier = [start]
    while frontier:
        following: list[Node] = []
        for number in frontier:
            for need in sorted(set(graph.get(number, ()))):
                if need == start:
                    path = [number]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return tuple(reversed(path))
                if need not in came_from:
                    came_from[need] = number
                    following.append(need)
        frontier = following
    return ()


def strongly_connected_component(graph: Graph[Node], start: Node) -> frozenset[Node]:
    """The tasks on a cycle of dependencies through `start`, including `start`; empty if there is none."""
    backwards: dict[Node, list[Node]] = {}
    for number, needs in graph.items():
        for need in needs:
            backwards.setdefault(need, []).append(number)
    return _reached(graph, start) & _reached(backwards, start)


def _reached(graph: Graph[Node], start: Node) -> frozenset[Node]:
    """The nodes that can be reached from `start` in at least one step."""
    found: set[Node] = set()
    ahead = list(graph.get(start, ()))
    while ahead:
        number = ahead.pop()
        if number not in found:
            found.add(number)
            ahead.extend(graph.get(number, ()))
    return frozenset(found)


def order(tasks: Iterable[Task], behind: Mapping[int, int]) -> list[Task]:
    """Sort into queue order: priority, then longest chain of dependents (`dependents_depth`), then age."""
    return sorted(tasks, key=lambda t: (t.priority.rank, -behind.get(t.number, 0), t.created_at, t.number))


@dataclass(frozen=True, slots=True)
class Queued:
    """A ready task with what its place in the queue depends on."""

    number: int
    priority: str
    created_at: datetime
    parked: bool


def place_in_queue(task: Task) -> QueueState | None:
    """Whether a task is in the queue, or exceeds its depth; None for a task that cannot be assigned now.

    A task that waits for others or is held has no place: it would block the tasks that it waits for.
    """
    if not task.unflagged(Flag.PARKED).in_line:
        return None
    return "overflow" if Flag.PARKED in task.flags else "queued"


def overflow(tasks: Iterable[Queued], depth: int) -> tuple[list[int], list[int]]:
    """Which tasks to park and which to admit, so that the queue holds the first `depth` tasks.

    A more urgent task comes before all others, so it is never parked while a less urgent one is in the queue.
    """
    line = sorted(tasks, key=lambda one: (one.priority, one.created_at, one.number))
    return [one.number for one in line[depth:] if not one.parked], [one.number for one in line[:depth] if one.parked]
