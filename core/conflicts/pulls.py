"""Open pull requests that cannot all be merged: what is known of one, and which of two waits for the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

GO_ON_APART = 0.95  # confidence that nothing is lost where two change different files
GO_ON_MERGED = 0.85  # the same where they change one file, and a real three-way merge of both is clean


@dataclass(frozen=True, slots=True)
class Span:
    """Lines `first` to `last` of a file, counted from 1, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class FileConflict:
    """A file in conflict; `kind` is git's name for what is the matter.

    `here` are the lines of the side that is told of it, `there` those of the other one; empty where there are none to
    name: binary files, removed ones, renames.
    """

    path: str
    kind: str = "contents"
    here: tuple[Span, ...] = ()
    there: tuple[Span, ...] = ()

    @property
    def swapped(self) -> FileConflict:
        """The same as the other side sees it."""
        return FileConflict(self.path, self.kind, self.there, self.here)


@dataclass(frozen=True, slots=True)
class TrialMerge:
    """How the merge of a head with its base came out; `clean` is None where it could not be tried (`problem`: why)."""

    base_sha: str
    clean: bool | None
    files: tuple[FileConflict, ...] = ()
    problem: str = ""
    behind: bool = False  # the base has commits that the head lacks
    ci_started: bool = True  # GitHub starts no `pull_request` workflow while a pull request conflicts with its base


class Precedence(StrEnum):
    """Who waits, as one of the two is told."""

    THIS = "this"
    OTHER = "other"
    NOBODY = "nobody"  # neither can, so a person decides


@dataclass(frozen=True, slots=True)
class ConflictingPull:
    """An open pull request that cannot be merged together with this one."""

    pull: int
    task: int | None  # None: somebody's own pull request
    sha: str
    branch: str
    who: str  # the agent that holds the task, or the login of whoever opened it
    opened_at: datetime
    first: bool  # it was opened before this one
    waits: Precedence
    why: str
    files: tuple[FileConflict, ...] = ()
    ignored: bool = False  # a person said so, for a while


@dataclass(frozen=True, slots=True)
class ConflictSide:
    """One of two pull requests, as far as the rules look at it."""

    pull: int
    opened_at: datetime
    task: int | None = None
    rank: int = 2  # of its priority, 0 for P0
    needs: Collection[int] = ()  # the tasks that its own depends on


class Action(StrEnum):
    """What becomes of two pull requests."""

    GO_ON = "go-on"
    QUEUE = "queue"  # one waits behind the other
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class ConflictResolution:
    """The decision on two pull requests: the same for the same two, in whatever order they are named."""

    action: Action
    why: str
    waits: int | None = None  # the pull request that waits
    confidence: float | None = None  # that going on loses nothing


def resolve(one: ConflictSide, other: ConflictSide, *, shares: bool, clean: bool) -> ConflictResolution:
    """Decide on two pull requests. `shares`: they change a file in common; `clean`: a real merge of both is clean.

    The later one waits. A task that depends on the other's waits whichever came first; a P0 does not wait behind what
    is less urgent; and somebody's own pull request is not ours to hold. Where neither can wait a person decides.
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
        return behind.task is None  # of two that are nobody's task the later is told to wait; neither is held
    return side.rank > 0 or (behind.task is not None and behind.rank == 0)


@dataclass(frozen=True, slots=True)
class OpenPull:
    """An open pull request, whoever opened it, as it is compared with the others.

    `task` is the one that it carries; `rank` is of that one's priority (0 for P0), `needs` are the tasks it depends on,
    and `passed` tells whether its checks have.
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
    trial: TrialMerge | None = None  # of this head; None: not yet
    shown: str = ""  # what its check last said, where no task remembers it
    asks: bool = False  # its task waits for a verdict, or lets a conflict pass for a while
    agent: str | None = None  # that holds the task
    rank: int = 2
    needs: tuple[int, ...] = ()
    passed: bool = True
    base_said: str | None = None  # where its task was last told that the base is

    @property
    def who(self) -> str:
        """Whose work it is: the agent that holds the task, or the login of whoever opened it."""
        return self.agent or self.author

    @property
    def side(self) -> ConflictSide:
        """It as the rules look at it."""
        return ConflictSide(self.number, self.opened_at, self.task, self.rank, self.needs)

    @property
    def ready(self) -> bool:
        """Whether it could be merged now, as far as conflicts and checks go."""
        return not self.draft and self.passed and self.trial is not None and self.trial.clean is True


@dataclass(frozen=True, slots=True)
class PullPair:
    """Two pull requests that change the same file. `files` are those in conflict, as `one` sees them."""

    one: int
    other: int
    one_sha: str
    other_sha: str
    files: tuple[FileConflict, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether both can be merged."""
        return not self.files

    def seen_from(self, number: int) -> tuple[FileConflict, ...]:
        """The files as this one of the two sees them."""
        return self.files if number == self.one else tuple(file.swapped for file in self.files)

    def beside(self, number: int) -> int:
        """The other one."""
        return self.other if number == self.one else self.one


@dataclass(frozen=True, slots=True)
class ConflictReport:
    """What comes of merging open pull requests with their base, and with each other.

    `heads` are the commits that were merged, by pull request. `pairs` are those that change a file in common. `unsure`
    are pairs of which nothing new is known; so is every pair where `pairs` is None.
    """

    base: str
    heads: Mapping[int, str]
    trials: Mapping[int, TrialMerge]
    touched: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    pairs: tuple[PullPair, ...] | None = None
    unsure: frozenset[tuple[int, int]] = frozenset()
    of: frozenset[int] | None = None  # it is about these and their pairs alone; None: about all
    past: frozenset[str] = frozenset()  # where tasks were told that the base is, and it was before
