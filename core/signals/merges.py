"""Defines signals about merges and branch updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.conflicts.pulls import ConflictingPull, FileConflict, TrialMerge
from core.effects.base import UpdateBranch

# done: the base is merged; current: it already was; moved: the head has changed and lacks the base.
UpdateOutcome = Literal["done", "current", "conflict", "moved", "refused"]


@dataclass(frozen=True, slots=True)
class TrialMergeDone:
    """A trial merge of the head with its base and with the other open pull requests is done.

    `clean` is the result of the merge with the base, None if it could not be tried. `rivals` are None if nothing new is
    known of them.
    """

    pull_number: int
    head_sha: str
    base_sha: str
    clean: bool | None
    files: tuple[FileConflict, ...] = ()  # in conflict with the base; `here` are lines of the head
    problem: str = ""
    changed_files: tuple[str, ...] = ()  # the files that the head changes
    is_behind: bool = False  # the base has commits that the head lacks
    conflicting_pulls: tuple[ConflictingPull, ...] | None = None
    ci_started: bool = True
    earlier_base_shas: frozenset[str] = frozenset()  # commits that the tried base is known to contain

    @classmethod
    def from_trial_merge(
        cls,
        pull_number: int,
        head_sha: str,
        trial_merge: TrialMerge,
        changed_files: tuple[str, ...] = (),
        conflicting_pulls: tuple[ConflictingPull, ...] | None = None,
        earlier_base_shas: frozenset[str] = frozenset(),
    ) -> TrialMergeDone:
        """The signal for a stored trial merge."""
        result = (trial_merge.base_sha, trial_merge.clean, trial_merge.files, trial_merge.problem)
        return cls(
            pull_number,
            head_sha,
            *result,
            changed_files,
            trial_merge.is_behind,
            conflicting_pulls,
            trial_merge.ci_started,
            earlier_base_shas,
        )

    @property
    def trial_merge(self) -> TrialMerge:
        """The result of the merge with the base."""
        return TrialMerge(self.base_sha, self.clean, self.files, self.problem, self.is_behind, self.ci_started)


@dataclass(frozen=True, slots=True)
class MergeRefused:
    """GitHub refused to merge the pull request now."""

    pull_number: int
    head_sha: str
    reason: str


@dataclass(frozen=True, slots=True)
class BranchUpdateDone:
    """GitHub answered a request to merge the base into the pull request's branch; `reason` is still raw."""

    effect: UpdateBranch
    outcome: UpdateOutcome
    reason: str = ""
    trial_merge: TrialMergeDone | None = None  # of a conflict: its place


@dataclass(frozen=True, slots=True)
class BaseMoved:
    """The base branch of pull requests received a push."""

    base: str
    sha: str
