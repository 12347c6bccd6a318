"""Combines a task's dependencies from GitHub's relations and from the issue text.

A reference is written as in an issue: `#12` in the task's own repository, `owner/repo#3` elsewhere. Both sources count.
If they contradict, GitHub's relations win: a blocker that was removed in the sidebar no longer counts even if the text
still names it, and a line of the text that reverses a relation is ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.assignment.queue import Graph


class Source(StrEnum):
    """The source of a dependency."""

    TEXT = "text"  # a line of the issue
    BLOCKED_BY = "blocked_by"  # GitHub's issue dependencies
    SUB_ISSUE = "sub_issue"  # GitHub's sub-issues: the parent waits for it
    QUEUED_AFTER = "queued_after"  # a person made it wait for another task, until that is over
    REMOVED = "removed"  # the text names it, but it was removed from GitHub's issue dependencies

    @property
    def is_native(self) -> bool:
        """Whether GitHub itself stores the relation."""
        return self in (Source.BLOCKED_BY, Source.SUB_ISSUE)


@dataclass(frozen=True, slots=True)
class Dependency:
    """One dependency as last read. `finished` is None if the issue does not exist."""

    finished: bool | None
    source: Source = Source.TEXT


def merge_dependencies(fetched: Mapping[str, Dependency], stored: Mapping[str, Dependency]) -> dict[str, Dependency]:
    """The relations just read, compared with the previous ones: a blocker that only the text still names is lifted."""
    return {
        reference: Dependency(dependency.finished, Source.REMOVED)
        if dependency.source is Source.TEXT
        and (previous := stored.get(reference))
        and previous.source in (Source.BLOCKED_BY, Source.REMOVED)
        else dependency
        for reference, dependency in fetched.items()
    }


def effective_graph(sources: Mapping[str, Mapping[str, Source]]) -> Graph[str]:
    """The graph of the dependencies that count: task → needed task → source."""

    def is_effective(task: str, dependency: str, source: Source) -> bool:
        reverse = sources.get(dependency, {}).get(task)
        is_reversed = source is Source.TEXT and reverse is not None and reverse.is_native and dependency != task
        return source is not Source.REMOVED and not is_reversed

    return {
        task: tuple(dependency for dependency, source in dependencies.items() if is_effective(task, dependency, source))
        for task, dependencies in sources.items()
    }


def native_changes(before: Mapping[str, Dependency], after: Mapping[str, Dependency]) -> Collection[str]:
    """The references that were added to or removed from GitHub's own relations."""
    native_before = {reference for reference, dependency in before.items() if dependency.source.is_native}
    return native_before ^ {reference for reference, dependency in after.items() if dependency.source.is_native}
