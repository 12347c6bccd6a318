"""Describes conflicts between open pull requests and decides which of two waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

GO_ON_APART = 0.95  # confidence that two changes of different files lose nothing
GO_ON_MERGED = 0.85  # the same for changes of one file, if a real three-way merge of both is clean


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
    here: tuple[Span, ...] = ()
    there: tuple[Span, ...] = ()

    @property
    def swapped(self) -> FileConflict:
        """The same conflict from the other side."""
        return FileConflict(self.path, self.kind, self.there, self.here)


@dataclass(frozen=True, slots=True)
class TrialMerge:
    """The result of a trial merge of a head with its base; `clean` is None if it failed (`problem`: why)."""

    base_sha: str
    clean: bool | None
    files: tuple[FileConflict, ...] = ()
    problem: str = ""
    behind: bool = False  # the base has commits that the head lacks
    ci_started: bool = True  # GitHub starts no `pull_request` workflow while a pull request conflicts with its base


class Precedence(StrEnum):
    """Which of two pull requests waits, seen from this one."""

    THIS = "this"
    OTHER = "other"
    NEITHER = "nobody"  # neither can wait, so a person decides


@dataclass(frozen=True, slots=True)
class ConflictingPull:
    """An open pull request that cannot be merged together with this one."""

    pull: int
    task: int | None  # None: the pull request belongs to no task
    sha: str
    branch: str
    who: str  # the agent that holds the task, or the login of the pull request's author
    opened_at: datetime
    first: bool  # it was opened before this one
    waits: Precedence
    why: str
    files: tuple[FileConflict, ...] = ()
    ignored: bool = False  # a person chose to ignore this conflict for a day


@dataclass(frozen=True, slots=True)
class ConflictSide:
    """One of two pull requests, reduced to what the rules read."""

    pull: int
    opened_at: datetime
    task: int | None = None
    rank: int = 2  # of its priority, 0 for P0
    needs: Collection[int] = ()  # the tasks that its own task depends on


class Action(StrEnum):
    """What happens to a pair of pull requests."""

    GO_ON = "go-on"
    QUEUE = "queue"  # one waits for the other
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class ConflictResolution:
    """The decision on two pull requests; it does not depend on their order."""

    action: Action
    why: str
    waits: int | None = None  # the number of the pull request that waits
    confidence: float | None = None  # that continuing loses nothing


def resolve(one: ConflictSide, other: ConflictSide, *, shares: bool, clean: bool) -> ConflictResolution:
    """Decide on two pull requests. `shares`: they change a common file; `clean`: a real merge of both is clean.

    The later one waits, with three exceptions: a task that depends on the other's task waits even if it is older, a P0
    does not wait for a less urgent task, and the bot cannot hold a pull request without a task. If neither can wait, a
    person decides.
    """
    if clean and not shares:
        return ConflictResolution(Action.GO_ON, "They change different files.", confidence=GO_ON_APART)
    if clean:
        return ConflictResolution(Action.GO_ON, "They change the same file and merge cleanly.", confidence=GO_ON_MERGED)
    first, later = sorted((one, other), key=lambda side: (side.opened_at, side.pull))
    tasks = one.task is not None and other.task is not None
    leans = [side for side, on in ((first, later), (later, first)) if tasks and on.task in side.needs]
    if len(leans) == 2:
        return ConflictResolution(Action.ESCALATE, "Each of the two tasks depends on the other.")
    if leans:
        return ConflictResolution(
            Action.QUEUE, "Its task depends on the task of the other pull request.", leans[0].pull
        )
    if _can_wait(later, first):
        return ConflictResolution(Action.QUEUE, "It was opened later.", later.pull)
    if _can_wait(first, later):
        why = (
            "is a P0, which does not wait"
            if later.task is not None
            else "belongs to no task, so the bot cannot hold it"
        )
        return ConflictResolution(Action.QUEUE, f"The later pull request {why}.", first.pull)
    return ConflictResolution(Action.ESCALATE, "Neither can wait: one is a P0, the other belongs to no task.")


def _can_wait(side: ConflictSide, behind: ConflictSide) -> bool:
    if side.task is None:
        return behind.task is None  # of two pull requests without a task the later one waits, but neither is held
    return side.rank > 0 or (behind.task is not None and behind.rank == 0)


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
    asks: bool = False  # its task waits for a verdict, or ignores a conflict for a while
    agent: str | None = None  # the agent that holds the task
    rank: int = 2
    needs: tuple[int, ...] = ()
    passed: bool = True
    base_said: str | None = None  # the base SHA that its task last received

    @property
    def who(self) -> str:
        """The agent that holds the task, or the login of the author."""
        return self.agent or self.author

    @property
    def side(self) -> ConflictSide:
        """The part that the rules read."""
        return ConflictSide(self.number, self.opened_at, self.task, self.rank, self.needs)

    @property
    def ready(self) -> bool:
        """Whether it could be merged now, considering conflicts and checks only."""
        return not self.draft and self.passed and self.trial_merge is not None and self.trial_merge.clean is True


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
    def clean(self) -> bool:
        """Whether both can be merged."""
        return not self.files

    def seen_from(self, number: int) -> tuple[FileConflict, ...]:
        """The files in conflict from the side of this pull request."""
        return self.files if number == self.low_number else tuple(file.swapped for file in self.files)

    def beside(self, number: int) -> int:
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
    trials: Mapping[int, TrialMerge]
    touched: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    pairs: tuple[PullPair, ...] | None = None
    unsure: frozenset[tuple[int, int]] = frozenset()
    of: frozenset[int] | None = None  # only these and their pairs were compared; None: all
    past: frozenset[str] = frozenset()  # base SHAs that tasks last received and that are known to be older
