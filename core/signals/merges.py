"""Signals about merges: tried on the mirror, asked of GitHub, or made by others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.conflicts.pulls import ConflictingPull, FileConflict, TrialMerge
from core.effects.base import UpdateBranch

# done: the base is in; current: it was in before; moved: the head is another by now, without the base.
UpdateOutcome = Literal["done", "current", "conflict", "moved", "refused"]


@dataclass(frozen=True, slots=True)
class TrialMergeDone:
    """The head was merged with its base, and with the other open pull requests, on the local mirror.

    `clean` is of the merge with the base, None when it could not be tried. `rivals` are None when nothing new is known
    of them.
    """

    pull_number: int
    head_sha: str
    base_sha: str
    clean: bool | None
    files: tuple[FileConflict, ...] = ()  # in conflict with the base; `here` are lines of the head
    problem: str = ""
    touched: tuple[str, ...] = ()  # the files that the head changes
    behind: bool = False  # the base has commits that the head lacks
    rivals: tuple[ConflictingPull, ...] | None = None
    ci_started: bool = True
    past: frozenset[str] = frozenset()  # commits that the base that was tried is known to have in it

    @classmethod
    def of(
        cls,
        pull: int,
        head_sha: str,
        trial: TrialMerge,
        touched: tuple[str, ...] = (),
        rivals: tuple[ConflictingPull, ...] | None = None,
        past: frozenset[str] = frozenset(),
    ) -> TrialMergeDone:
        """The news of a trial merge that was kept."""
        known = (trial.base_sha, trial.clean, trial.files, trial.problem)
        return cls(pull, head_sha, *known, touched, trial.behind, rivals, trial.ci_started, past)

    @property
    def trial(self) -> TrialMerge:
        """What it says of the merge with the base."""
        return TrialMerge(self.base_sha, self.clean, self.files, self.problem, self.behind, self.ci_started)


@dataclass(frozen=True, slots=True)
class MergeRefused:
    """GitHub would not merge the pull request now."""

    pull_number: int
    head_sha: str
    reason: str


@dataclass(frozen=True, slots=True)
class BranchUpdateDone:
    """GitHub was asked to merge the base into the branch of the pull request; `reason` is still raw."""

    asked: UpdateBranch
    outcome: UpdateOutcome
    reason: str = ""
    trial: TrialMergeDone | None = None  # of a conflict: where it is


@dataclass(frozen=True, slots=True)
class BaseMoved:
    """Something was pushed to the branch that pull requests go into."""

    base: str
    sha: str
