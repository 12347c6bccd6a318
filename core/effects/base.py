"""Defines effects: what the bot wants to do outside, as data.

Each effect has a `key`. A *state* effect says how something must look (`SetLabels`, `UpsertCard`, `CheckRun`): a later
one with the same key replaces one that was not sent. A *once* effect says that something must happen (`Comment`,
`StartAgent`, `MergePull`): a second one with the same key is the same effect.
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
    """The bot's labels on an issue are exactly these; other labels stay as they are."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.LABELS
    number: int
    labels: tuple[str, ...]
    can_wait: bool = False  # as for the card

    @property
    def key(self) -> str:
        """One per issue."""
        return f"labels:{self.number}"


@dataclass(frozen=True, slots=True)
class EnsureLabels:
    """The repository has these labels with their colours and descriptions, so that people can add them by hand."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.LABELS
    labels: tuple[str, ...]
    number: int = 0

    @property
    def key(self) -> str:
        """One per repository."""
        return "repository-labels"


@dataclass(frozen=True, slots=True)
class UpsertCard:
    """The task card shows the task as it is when this is sent. The text is rendered then."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.CARD
    number: int
    can_wait: bool = False  # briefly, so that several changes become one edit: no one must act on this one
    details_only: bool = False  # about work in progress: may be delayed longer

    @property
    def key(self) -> str:
        """One per issue."""
        return f"card:{self.number}"


@dataclass(frozen=True, slots=True)
class UpsertDigest:
    """The digest issue shows the repository as it is when this is sent. If nothing changed, nothing is written."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.DIGEST
    number: int = 0
    notifies_channels: bool = False  # the digest is due: if it is written, the alert channels receive it as well

    @property
    def key(self) -> str:
        """One per repository."""
        return "digest"


@dataclass(frozen=True, slots=True)
class Comment:
    """A new comment, written once; before a retry, the bot looks for its hidden marker with the key."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.ANSWER
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

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.ANSWER
    comment_id: int
    content: Literal["eyes", "rocket", "confused"]

    @property
    def key(self) -> str:
        """One per comment and content."""
        return f"react:{self.comment_id}:{self.content}"


@dataclass(frozen=True, slots=True)
class StartAgent:
    """Send the sealed packet to the agent and start it."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.AGENT
    number: int
    attempt: int
    agent: str
    packet: dict[str, Any]  # `core.handoff.packet.packet`; its `role` says what is asked
    since: datetime  # when the cause of the assignment was received; latency counts from here
    lost_at: datetime | None = None  # when the previous agent was found to have failed; failover time counts from here

    @property
    def key(self) -> str:
        """One per attempt: the fencing token makes it unique."""
        return f"start:{self.number}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class CancelAgent:
    """Tell the agent of an attempt to stop."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.AGENT
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
    """Send a message to an agent that is working. Some agents receive none; see `Pull.asked`."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.AGENT
    number: int
    attempt: int
    agent: str
    session: str | None
    since: datetime  # when the attempt began
    topic: str  # what causes it: the key of the feedback
    text: str  # Markdown, cleaned

    @property
    def key(self) -> str:
        """One per attempt and topic."""
        return f"steer:{self.number}:{self.attempt}:{self.topic}"


@dataclass(frozen=True, slots=True)
class PollAgent:
    """Poll the state of the agent's attempt; the answer returns as a signal."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.READ
    number: int
    attempt: int
    agent: str
    session: str | None
    since: datetime | None = None  # when the attempt began: older results belong to an earlier one
    role: Role = Role.IMPLEMENT  # other roles are also asked for their last message

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
    """One of the bot's checks on a commit, with annotations. `conclusion` None means still in progress."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.CHECK
    number: int  # of the task, or of the pull request if it has no task
    name: str
    sha: str
    conclusion: str | None  # success | failure | neutral | action_required
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()  # any number: they are sent in portions
    attempt: int = 0  # of the commit; the check carries it as its fencing token
    actions: tuple[Button, ...] = ()  # shown once it is completed; at most `core.commands.buttons.MOST`
    can_wait: bool = False  # as for the card: the check is green, and nothing waits for it

    @property
    def key(self) -> str:
        """One per name and commit."""
        return f"check:{self.name}:{self.sha}"


@dataclass(frozen=True, slots=True)
class CloseIssue:
    """Close the issue of a task that is done."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.COMPLETION
    number: int
    done_at: datetime

    @property
    def key(self) -> str:
        """One per completion of the task: a reopened task can be closed again."""
        return f"close-issue:{self.number}:{self.done_at.isoformat()}"


@dataclass(frozen=True, slots=True)
class ReadChecks:
    """Read the checks of the pull request's head again; they return as a signal."""

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.READ
    number: int
    sha: str
    is_final: bool = False  # no check started in time: if there is none now, none is expected

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
