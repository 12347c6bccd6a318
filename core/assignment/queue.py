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
    dependent_counts: dict[int, int] = dict.fromkeys(graph, 0)
    for number, dependencies in graph.items():
        for dependency in set(dependencies):
            if dependency in dependents:
                dependents[dependency].append(number)
                dependent_counts[dependency] += 1
    # Kahn's algorithm, backwards: remove the tasks without dependents and walk towards their dependencies.
    lengths = dict.fromkeys(graph, 0)
    leaves = [number for number, count in dependent_counts.items() if count == 0]
    while leaves:
        number = leaves.pop()
        for dependency in set(graph[number]):
            if dependency not in dependent_counts:
                continue
            lengths[dependency] = max(lengths[dependency], lengths[number] + 1)
            dependent_counts[dependency] -= 1
            if dependent_counts[dependency] == 0:
                leaves.append(dependency)
    return {number: 0 if dependent_counts[number] else length for number, length in lengths.items()}


def shortest_cycle(graph: Graph[Node], start: Node) -> tuple[Node, ...]:
    """The shortest cycle of dependencies through `start`, beginning with it; empty if there is none."""
    predecessors: dict[Node, Node] = {}
    frontier = [start]
    while frontier:
        next_frontier: list[Node] = []
        for number in frontier:
            for dependency in sorted(set(graph.get(number, ()))):
                if dependency == start:
                    path = [number]
                    while path[-1] != start:
                        path.append(predecessors[path[-1]])
                    return tuple(reversed(path))
                if dependency not in predecessors:
                    predecessors[dependency] = number
                    next_frontier.append(dependency)
        frontier = next_frontier
    return ()


def strongly_connected_component(graph: Graph[Node], start: Node) -> frozenset[Node]:
    """The tasks on a cycle of dependencies through `start`, including `start`; empty if there is none."""
    reverse_graph: dict[Node, list[Node]] = {}
    for number, dependencies in graph.items():
        for dependency in dependencies:
            reverse_graph.setdefault(dependency, []).append(number)
    return _reachable(graph, start) & _reachable(reverse_graph, start)


def _reachable(graph: Graph[Node], start: Node) -> frozenset[Node]:
    """The nodes that can be reached from `start` in at least one step."""
    visited: set[Node] = set()
    pending = list(graph.get(start, ()))
    while pending:
        number = pending.pop()
        if number not in visited:
            visited.add(number)
            pending.extend(graph.get(number, ()))
    return frozenset(visited)


def sort_queue(tasks: Iterable[Task], depths: Mapping[int, int]) -> list[Task]:
    """Sort into queue order: priority, then longest chain of dependents (`dependents_depth`), then age."""
    return sorted(
        tasks, key=lambda task: (task.priority.rank, -depths.get(task.number, 0), task.created_at, task.number)
    )


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A ready task with what its place in the queue depends on."""

    number: int
    priority: str
    created_at: datetime
    parked: bool


def queue_state(task: Task) -> QueueState | None:
    """Whether a task is in the queue, or exceeds its depth; None for a task that cannot be assigned now.

    A task that waits for others or is held has no place: it would block the tasks that it waits for.
    """
    if not task.without_flags(Flag.PARKED).is_assignable:
        return None
    return "overflow" if Flag.PARKED in task.flags else "queued"


def overflow(tasks: Iterable[QueuedTask], depth: int) -> tuple[list[int], list[int]]:
    """Which tasks to park and which to admit, so that the queue holds the first `depth` tasks.

    A more urgent task comes before all others, so it is never parked while a less urgent one is in the queue.
    """
    queue = sorted(tasks, key=lambda task: (task.priority, task.created_at, task.number))
    return [task.number for task in queue[depth:] if not task.parked], [
        task.number for task in queue[:depth] if task.parked
    ]
