"""Walk a history of commits by their parents, with git's results. Pure."""

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count

Parents = Callable[[str], Sequence[str]]
"""The parents of a commit."""


def ancestors(start: str, parents: Parents) -> set[str]:
    """A commit and everything that its history contains."""
    visited = {start}
    todo = [start]
    while todo:
        for parent in parents(todo.pop()):
            if parent not in visited:
                visited.add(parent)
                todo.append(parent)
    return visited


def merge_bases(first: str, second: str, parents: Parents) -> list[str]:
    """The best common ancestors of two commits: those that no other common ancestor contains."""
    of_first = ancestors(first, parents)
    if second in of_first:
        return [second]
    of_second = ancestors(second, parents)
    if first in of_second:
        return [first]
    common = of_first & of_second
    return sorted(common.difference(*(parents(commit) for commit in common)))


def newest_first(
    start: str, exclude: Collection[str], parents: Parents, time_of: Callable[[str], float]
) -> Iterator[str]:
    """The commits of a history except those to exclude, in the order of `git log`.

    Git takes the newest commit whose child it has shown; within the same second, the one it met first.
    """
    met = count()
    seen = {start}
    queue = [] if start in exclude else [(-time_of(start), next(met), start)]
    while queue:
        _, _, commit = heapq.heappop(queue)
        yield commit
        for parent in parents(commit):
            if parent not in seen and parent not in exclude:
                seen.add(parent)
                heapq.heappush(queue, (-time_of(parent), next(met), parent))
