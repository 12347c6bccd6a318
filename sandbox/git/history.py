"""Walk a history of commits by their parents, with git's results. Pure."""

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count

Parents = Callable[[str], Sequence[str]]
"""The parents of a commit."""


def ancestors(start: str, parents: Parents) -> set[str]:
    """A commit and everything that its history contains."""
    visited = {start}
    pending = [start]
    while pending:
        for parent in parents(pending.pop()):
            if parent not in visited:
                visited.add(parent)
                pending.append(parent)
    return visited


def merge_bases(first: str, second: str, parents: Parents) -> list[str]:
    """The best common ancestors of two commits: those that no other common ancestor contains."""
    first_ancestors = ancestors(first, parents)
    if second in first_ancestors:
        return [second]
    second_ancestors = ancestors(second, parents)
    if first in second_ancestors:
        return [first]
    common = first_ancestors & second_ancestors
    return sorted(common.difference(*(parents(commit) for commit in common)))


def newest_first(
    start: str, exclude: Collection[str], parents: Parents, time_of: Callable[[str], float]
) -> Iterator[str]:
    """The commits of a history except those to exclude, in the order of `git log`.

    Git takes the newest commit whose child it has shown; within the same second, the one it met first.
    """
    sequence = count()
    visited = {start}
    queue = [] if start in exclude else [(-time_of(start), next(sequence), start)]
    while queue:
        _, _, commit = heapq.heappop(queue)
        yield commit
        for parent in parents(commit):
            if parent not in visited and parent not in exclude:
                visited.add(parent)
                heapq.heappush(queue, (-time_of(parent), next(sequence), parent))
