"""What the bot wants to happen in the world, as data.

Each effect has a `key`. Two kinds exist. A *state* effect says how something is to look (`SetLabels`, `UpsertCard`,
`CheckRun`): a later one with the same key replaces an earlier one that was not sent yet. A *once* effect says that
something is to happen (`Comment`, `StartAgent`, `MergePull`): a second one with the same key is the same effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from core.commands.buttons import Button
from core.effects.commands import CreateTask as CreateTask
from core.effects.commands import SetDependency as SetDependency
from core.effects.commands import UpdateBranch as UpdateBranch
from core.effects.people import Escalate as Escalate
from core.effects.people import Notify as Notify
from core.effects.priority import SendPriority
from core.effects.pulls import ClosePull as ClosePull
from core.effects.pulls import CompareBranches as CompareBranches
from core.effects.pulls import MarkReady as MarkReady
from core.effects.pulls import MergePull as MergePull
from core.effects.pulls import RefreshMirror as RefreshMirror
from core.effects.pulls import RequestTrialMerge as RequestTrialMerge
from core.retro.effects import OpenTask as OpenTask
from core.retro.effects import PublishRetrospective as PublishRetrospective
from core.task.model import Role


@dataclass(frozen=True, slots=True)
class SetLabels:
    """Our labels on an issue are exactly these; labels that are not ours stay as they are."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.LABELS
    number: int
    labels: tuple[str, ...]
    may_wait: bool = False  # as for the card

    @property
    def key(self) -> str:
        """One per issue."""
        return f"labels:{self.number}"


@dataclass(frozen=True, slots=True)
class EnsureLabels:
    """The repository has these labels of ours, with their colours and descriptions, for people to put on by hand."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.LABELS
    labels: tuple[str, ...]
    number: int = 0

    @property
    def key(self) -> str:
        """One per repository."""
        return "repository-labels"


@dataclass(frozen=True, slots=True)
class UpsertCard:
    """The task card shows the task as it is when this is sent. It is drawn then, so it needs no text here."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.CARD
    number: int
    may_wait: bool = False  # a moment, so that several changes become one edit: nobody has to act on this one
    details: bool = False  # of what is under way: they may wait longer

    @property
    def key(self) -> str:
        """One per issue."""
        return f"card:{self.number}"


@dataclass(frozen=True, slots=True)
class UpsertDigest:
    """The digest issue shows the repository as it is when this is sent. Where nothing changed, nothing is written."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.DIGEST
    number: int = 0
    tells: bool = False  # it is time for it: if it is written, the channels hear of it as well

    @property
    def key(self) -> str:
        """One per repository."""
        return "digest"


@dataclass(frozen=True, slots=True)
class Comment:
    """A new comment, written once; a hidden marker with the key is looked for before it is sent again."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.ANSWER
    number: int
    topic: str
    body: str

    @property
    def key(self) -> str:
        """One per issue and topic."""
        return f"comment:{self.number}:{self.topic}"


@dataclass(frozen=True, slots=True)
class AddReaction:
    """A reaction on a comment. GitHub itself keeps it to one per user and content."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.ANSWER
    comment_id: int
    content: Literal["eyes", "rocket", "confused"]

    @property
    def key(self) -> str:
        """One per comment and content."""
        return f"react:{self.comment_id}:{self.content}"


@dataclass(frozen=True, slots=True)
class StartAgent:
    """Hand the sealed packet to the agent."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.AGENT
    number: int
    attempt: int
    agent: str
    packet: dict[str, Any]  # `core.handoff.packet.packet`; its `role` says what is asked
    since: datetime  # when the news reached us that made the assignment possible; latency counts from here
    lost_at: datetime | None = None  # when the agent before it was found to have failed; failover counts from here

    @property
    def key(self) -> str:
        """One per attempt: the fencing token makes it unique."""
        return f"start:{self.number}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class CancelAgent:
    """Tell the agent of an attempt to stop."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.AGENT
    number: int
    attempt: int
    agent: str
    session: str | None

    @property
    def key(self) -> str:
        """One per attempt."""
        return f"cancel:{self.number}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class MessageAgent:
    """Tell an agent at work what is asked of it meanwhile. Some take no words; see `Pull.asked`."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.AGENT
    number: int
    attempt: int
    agent: str
    session: str | None
    since: datetime  # when the attempt began
    topic: str  # what asks for it: the key of the feedback
    text: str  # Markdown, cleaned

    @property
    def key(self) -> str:
        """One per attempt and topic."""
        return f"steer:{self.number}:{self.attempt}:{self.topic}"


@dataclass(frozen=True, slots=True)
class PollAgent:
    """Ask how the agent's attempt goes; the answer comes back as a signal."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.LOOK
    number: int
    attempt: int
    agent: str
    session: str | None
    since: datetime | None = None  # when the attempt began: what is older belongs to an earlier one
    role: Role = Role.IMPLEMENT  # of the others it is asked for its words, too

    @property
    def key(self) -> str:
        """One per attempt."""
        return f"poll:{self.number}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark of a check on lines of a file, shown beside them in the pull request; lines count from 1."""

    path: str
    start_line: int
    end_line: int
    message: str
    title: str = ""
    level: Literal["notice", "warning", "failure"] = "failure"


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check of ours on a commit, with remarks on its lines. `conclusion` None means still in progress."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.CHECK
    number: int  # of the task, or of the pull request where no task is
    name: str
    sha: str
    conclusion: str | None  # success | failure | neutral | action_required
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()  # as many as you like: they are sent in portions
    attempt: int = 0  # that the commit belongs to; the check carries it, as the fencing token it is
    actions: tuple[Button, ...] = ()  # shown once it is completed; at most `core.commands.buttons.MOST`
    may_wait: bool = False  # as for the card: all is well, and nothing is about to ask for it

    @property
    def key(self) -> str:
        """One per name and commit."""
        return f"check:{self.name}:{self.sha}"


@dataclass(frozen=True, slots=True)
class CloseIssue:
    """Close the issue of a task that is done."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.END
    number: int
    done_at: datetime

    @property
    def key(self) -> str:
        """One each time the task is done: a reopened task can be closed again."""
        return f"close-issue:{self.number}:{self.done_at.isoformat()}"


@dataclass(frozen=True, slots=True)
class ReadChecks:
    """Read the checks of the pull request's head again; they come back as a signal."""

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.LOOK
    number: int
    sha: str
    final: bool = False  # nothing ran in time: if nothing is there now either, nothing will be

    @property
    def key(self) -> str:
        """One per commit."""
        return f"checks:{self.number}:{self.sha}"


Effect = (
    SetLabels
    | EnsureLabels
    | UpsertCard
    | UpsertDigest
    | Comment
    | AddReaction
    | CreateTask
    | StartAgent
    | CancelAgent
    | MessageAgent
    | PollAgent
    | MarkReady
    | CheckRun
    | RequestTrialMerge
    | CompareBranches
    | MergePull
    | UpdateBranch
    | ClosePull
    | CloseIssue
    | SetDependency
    | ReadChecks
    | RefreshMirror
    | PublishRetrospective
    | OpenTask
    | Escalate
    | Notify
)
