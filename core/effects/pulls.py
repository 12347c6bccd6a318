"""Defines effects on pull requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.effects.priority import SendPriority


@dataclass(frozen=True, slots=True)
class MarkReady:
    """Mark the draft of an agent that has finished as ready for review: some agents cannot do that themselves."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.COMPLETION
    number: int
    pull_number: int
    sha: str

    @property
    def key(self) -> str:
        """One per pull request and commit: a person may make it a draft again, and the agent continue."""
        return f"ready:{self.pull_number}:{self.sha}"


@dataclass(frozen=True, slots=True)
class RequestTrialMerge:
    """Make a trial merge of the head with its base and with all other open pull requests, on the local mirror.

    The results return as signals, to each task that they concern.
    """

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.READ
    number: int
    pull_number: int
    branch: str
    base: str
    head_sha: str

    @property
    def key(self) -> str:
        """One per pull request: only the newest head matters."""
        return f"try-merge:{self.pull_number}"


@dataclass(frozen=True, slots=True)
class CompareBranches:
    """Make trial merges of all open pull requests into this base, with it and with each other, on the local mirror."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.READ
    base: str
    number: int = 0

    @property
    def key(self) -> str:
        """One per base."""
        return f"compare:{self.base}"


@dataclass(frozen=True, slots=True)
class RefreshMirror:
    """Fetch the newest commits of the default branch into the local mirror, for the next forecast."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.READ
    branch: str
    number: int = 0

    @property
    def key(self) -> str:
        """One per repository."""
        return "mirror"


@dataclass(frozen=True, slots=True)
class MergePull:
    """Merge the pull request, bound to this head. A new request replaces an earlier one."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.COMPLETION
    number: int
    pull_number: int
    sha: str
    method: str
    title: str
    merge_attempt: int

    @property
    def key(self) -> str:
        """One per pull request."""
        return f"merge:{self.pull_number}"


@dataclass(frozen=True, slots=True)
class ClosePull:
    """Close a pull request that a later attempt replaced."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.COMPLETION
    number: int
    pull_number: int

    @property
    def key(self) -> str:
        """One per pull request."""
        return f"close-pull:{self.pull_number}"
