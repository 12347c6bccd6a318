"""Effects about pull requests: merges tried, and merges done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.effects.priority import SendPriority


@dataclass(frozen=True, slots=True)
class MarkReady:
    """Make the draft of an agent that has ended a pull request that can be merged: some may not do that themselves."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.END
    number: int
    pull_number: int
    sha: str

    @property
    def key(self) -> str:
        """One per pull request and commit: somebody may make it a draft again, and the agent go on."""
        return f"ready:{self.pull_number}:{self.sha}"


@dataclass(frozen=True, slots=True)
class RequestTrialMerge:
    """Merge the head with its base, and with all other open pull requests, on the local mirror.

    The verdicts come back as signals, to each task that they concern.
    """

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.LOOK
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
    """Merge all open pull requests that go into this base with it, and with each other, on the local mirror."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.LOOK
    base: str
    number: int = 0

    @property
    def key(self) -> str:
        """One per base."""
        return f"compare:{self.base}"


@dataclass(frozen=True, slots=True)
class RefreshMirror:
    """The local mirror has the newest commits of the default branch, for the next forecast."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.LOOK
    branch: str
    number: int = 0

    @property
    def key(self) -> str:
        """One per repository."""
        return "mirror"


@dataclass(frozen=True, slots=True)
class MergePull:
    """Merge the pull request, bound to this head. What is asked for anew stands for what was asked before."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.END
    number: int
    pull_number: int
    sha: str
    method: str
    title: str
    round: int

    @property
    def key(self) -> str:
        """One per pull request."""
        return f"merge:{self.pull_number}"


@dataclass(frozen=True, slots=True)
class ClosePull:
    """Close a pull request that a later attempt replaced."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.END
    number: int
    pull_number: int

    @property
    def key(self) -> str:
        """One per pull request."""
        return f"close-pull:{self.pull_number}"
