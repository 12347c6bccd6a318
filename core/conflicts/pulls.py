"""Describes conflicts between open pull requests and decides which of two waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

DIFFERENT_FILES_CONFIDENCE = 0.95  # confidence that two changes of different files lose nothing
CLEAN_MERGE_CONFIDENCE = 0.85  # the same for changes of one file, if a real three-way merge of both is clean


@dataclass(frozen=True, slots=True)
class Span:
    """Lines `first` to `last` of a file, counted from 1, inclusive."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class FileConflict:
    """A file in conflict; `kind` is git's name for the kind of conflict.

    `here` are the lines of this side, `there` those of the other side. Both are empty if there are no lines to name:
    binary files, removed files, renames.
    """

    path: str
    kind: str = "contents"
    own_lines: tuple[Span, ...] = ()
    other_lines: tuple[Span, ...] = ()

    @property
    def swapped(self) -> FileConflict:
        """The same conflict from the other side."""
        return FileConflict(self.path, self.kind, self.other_lines, self.own_lines)


@dataclass(frozen=True, slots=True)
class TrialMerge:
    """The result of a trial merge of a head with its base; `clean` is None if it failed (`problem`: why)."""

    base_sha: str
    clean: bool | None
    files: tuple[FileConflict, ...] = ()
    problem: str = ""
    is_behind: bool = False  # the base has commits that the head lacks
    ci_started: bool = True  # GitHub starts no `pull_request` workflow while a pull request conflicts with its base


class Precedence(StrEnum):
    """Which of two pull requests waits, seen from this one."""

    THIS = "this"
    OTHER = "other"
    NEITHER = "neither"  # a person decides


@dataclass(frozen=True, slots=True)
class ConflictingPull:
    """An open pull request that cannot be merged together with this one."""

    pull: int
    task: int | None  # None: the pull request belongs to no task
    sha: str
    branch: str
    owner: str  # the agent that holds the task, or the login of the pull request's author
    opened_at: datetime
    is_older: bool  # it was opened before this one
    precedence: Precedence
    reason: str
    files: tuple[FileConflict, ...] = ()
    is_ignored: bool = False  # a person chose to ignore this conflict for a day


@dataclass(frozen=True, slots=True)
class ConflictSide:
    """One of two pull requests, reduced to what the rules read."""

    pull: int
    opened_at: datetime
    task: int | None = None
    rank: int = 2  # of its priority, 0 for P0
    dependencies: Collection[int] = ()  # the tasks that its own task depends on


class ConflictAction(StrEnum):
    """What happens to a pair of pull requests."""

    PROCEED = "go-on"
    QUEUE = "queue"  # one waits for the other
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class ConflictResolution:
    """The decision on two pull requests; it does not depend on their order."""

    action: ConflictAction
    reason: str
    waiting_pull: int | None = None  # the number of the pull request that waits
    confidence: float | None = None  # that continuing loses nothing


def resolve_conflict(this: ConflictSide, other: ConflictSide, *, share_files: bool, clean: bool) -> ConflictResolution:
    """Decide on two pull requests. `share_files`: they change a common file; `clean`: a real merge of both is clean.

    The later one waits, with three exceptions: a task that depends on the other's task waits even if it is older, a P0
    does not wait for a less urgent task, and the bot cannot hold a pull request without a task. If neither can wait, a
    person decides.
    """
    if clean and not share_files:
        return ConflictResolution(
            ConflictAction.PROCEED, "They change different files.", confidence=DIFFERENT_FILES_CONFIDENCE
        )
    if clean:
        return ConflictResolution(
            ConflictAction.PROCEED, "They change the same file and merge cleanly.", confidence=CLEAN_MERGE_CONFIDENCE
        )
    earlier, later = sorted((this, other), key=lambda side: (side.opened_at, side.pull))
    tasks = this.task is not None and other.task is not None
    dependents = [
        side for side, blocker in ((earlier, later), (later, earlier)) if tasks and blocker.task in side.dependencies
    ]
    if len(dependents) == 2:
        return ConflictResolution(ConflictAction.ESCALATE, "Each of the two tasks depends on the other.")
    if dependents:
        return ConflictResolution(
            ConflictAction.QUEUE, "Its task depends on the task of the other pull request.", dependents[0].pull
        )
    if _can_wait(later, earlier):
        return ConflictResolution(ConflictAction.QUEUE, "It was opened later.", later.pull)
    if _can_wait(earlier, later):
        reason = (
            "is a P0, which does not wait"
            if later.task is not None
            else "belongs to no task, so the bot cannot hold it"
        )
        return ConflictResolution(ConflictAction.QUEUE, f"The later pull request {reason}.", earlier.pull)
    return ConflictResolution(ConflictAction.ESCALATE, "Neither can wait: one is a P0, the other belongs to no task.")


def _can_wait(side: ConflictSide, blocker: ConflictSide) -> bool:
    if side.task is None:
        return blocker.task is None  # of two pull requests without a task the later one waits, but neither is held
    return side.rank > 0 or (blocker.task is not None and blocker.rank == 0)


@dataclass(frozen=True, slots=True)
class OpenPull:
    """An open pull request, with or without a task, as it is compared with others.

    `task` is the number of its task, `rank` the rank of that task's priority (0 for P0), `needs` the tasks it depends
    on, and `passed` says whether its checks passed.
    """

    number: int
    task: int | None
    title: str
    branch: str
    base: str
    head_sha: str
    url: str
    author: str
    opened_at: datetime
    draft: bool = False
    trial_merge: TrialMerge | None = None  # of this head; None: not tried yet
    check_fingerprint: str = ""  # what its check last showed, if no task stores that
    needs_comparison: bool = False  # its task waits for a verdict, or ignores a conflict for a while
    agent: str | None = None  # the agent that holds the task
    rank: int = 2
    dependencies: tuple[int, ...] = ()
    checks_passed: bool = True
    reported_base_sha: str | None = None  # the base SHA that its task last received

    @property
    def owner(self) -> str:
        """The agent that holds the task, or the login of the author."""
        return self.agent or self.author

    @property
    def side(self) -> ConflictSide:
        """The part that the rules read."""
        return ConflictSide(self.number, self.opened_at, self.task, self.rank, self.dependencies)

    @property
    def is_mergeable(self) -> bool:
        """Whether it could be merged now, considering conflicts and checks only."""
        return not self.draft and self.checks_passed and self.trial_merge is not None and self.trial_merge.clean is True


@dataclass(frozen=True, slots=True)
class PullPair:
    """Two pull requests that change the same file. `files` are those in conflict, from the side of `low_number`."""

    low_number: int
    high_number: int
    low_sha: str
    high_sha: str
    files: tuple[FileConflict, ...] = ()

    @property
    def numbers(self) -> tuple[int, int]:
        """The two pull requests, the lower number first."""
        return self.low_number, self.high_number

    @property
    def is_clean(self) -> bool:
        """Whether both can be merged."""
        return not self.files

    def files_for(self, number: int) -> tuple[FileConflict, ...]:
        """The files in conflict from the side of this pull request."""
        return self.files if number == self.low_number else tuple(file.swapped for file in self.files)

    def other_number(self, number: int) -> int:
        """The other pull request of the pair."""
        return self.high_number if number == self.low_number else self.low_number


@dataclass(frozen=True, slots=True)
class ConflictReport:
    """The result of merging open pull requests with their base and with each other.

    `heads` are the merged commits, by pull request. `pairs` are those that change a common file. For the pairs in
    `unsure` nothing new is known; if `pairs` is None, that is true for all pairs.
    """

    base: str
    heads: Mapping[int, str]
    trial_merges: Mapping[int, TrialMerge]
    changed_files: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    pairs: tuple[PullPair, ...] | None = None
    unknown_pairs: frozenset[tuple[int, int]] = frozenset()
    pull_numbers: frozenset[int] | None = None  # only these and their pairs were compared; None: all
    earlier_base_shas: frozenset[str] = frozenset()  # base SHAs that tasks last received and that are known to be older
