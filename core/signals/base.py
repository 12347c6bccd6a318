"""What can happen to a task, as data: the input of every decision.

A signal is a fact that somebody gathered (from a delivery, from GitHub's API, from git, from the clock). It carries
what is needed to tell old news from new: `updated_at`, a head SHA, an attempt number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.assignment.agent_state import HealthResult
from core.effects.base import CreateTask, SetDependency
from core.forecast.model import Forecast
from core.handoff.feedback import FailedCheck, LineComment
from core.intake.missed_changes import LabelChange
from core.intake.parser import ParsedIssue, fingerprint, parse
from core.signals.merges import BaseMoved as BaseMoved
from core.signals.merges import BranchUpdateDone as BranchUpdateDone
from core.signals.merges import MergeRefused as MergeRefused
from core.signals.merges import TrialMergeDone as TrialMergeDone
from core.signals.merges import UpdateOutcome as UpdateOutcome
from core.signals.people import EscalationAnswered as EscalationAnswered
from core.signals.people import EscalationDelivered as EscalationDelivered
from core.signals.waiting import AgentMessageResult as AgentMessageResult
from core.signals.waiting import AgentPollEmpty as AgentPollEmpty
from core.signals.waiting import BlockerCleared as BlockerCleared
from core.signals.waiting import OverlapPredicted as OverlapPredicted
from core.stall.model import CheckWaitReason
from core.task.dependencies import Dependency
from core.task.model import Actor, AssignmentDecision, ChecksState, LearnedTimeout, SessionState, Task


@dataclass(frozen=True, slots=True)
class IssueFacts:
    """An issue as GitHub tells it; `title` and `body` are still raw and hostile."""

    id: int
    number: int
    title: str
    body: str
    open: bool
    not_planned: bool
    author: Actor
    labels: frozenset[str]
    url: str
    created_at: datetime
    updated_at: datetime
    intake: ParsedIssue  # what the body says, read once
    fingerprint: str


def read_issue(*, title: str, body: str, **facts: Any) -> IssueFacts:
    """The facts of an issue with its text parsed; `facts` are the other fields of `IssueFacts`."""
    intake = parse(body)
    return IssueFacts(title=title, body=body, intake=intake, fingerprint=fingerprint(title, intake), **facts)


@dataclass(frozen=True, slots=True)
class IssueSeen:
    """An issue was opened, edited, labelled, closed, reopened, or read again.

    `sender` is None when nobody in particular can be named (the reconciler read it). `label` is the one that the
    sender put on (`label_added`) or took off.
    """

    issue: IssueFacts
    sender: Actor | None = None
    sender_can_write: bool = False
    sender_is_us: bool = False
    label: str | None = None
    label_added: bool = False
    at: datetime | None = None  # when that was done; None: the issue's own time says it
    was_open: bool = False  # although it is closed now, it was open when whoever tells us of it did so
    # What the text and GitHub's own relations say it depends on, by reference (`#12`, `owner/repo#3`).
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    forecast: Forecast | None = None  # made of this text; None: there is nothing new to say
    deeds: tuple[
        LabelChange, ...
    ] = ()  # what was done to it before this, of which no news reached us; the oldest first


def gone(task: Task) -> IssueSeen:
    """The issue of a task is not there any more: for the task the same as being closed as not planned."""
    facts = IssueFacts(
        id=task.issue_id,
        number=task.number,
        title=task.title,
        body="",
        open=False,
        not_planned=True,
        author=task.author,
        labels=frozenset({"task"}),
        url=task.url,
        created_at=task.created_at,
        updated_at=task.issue_updated_at,
        intake=task.intake,
        fingerprint=task.fingerprint,
    )
    return IssueSeen(facts)


@dataclass(frozen=True, slots=True)
class PullFacts:
    """A pull request as GitHub tells it."""

    number: int
    title: str
    branch: str
    base: str
    head_sha: str
    url: str
    author: Actor
    open: bool
    draft: bool
    merged: bool
    merge_sha: str | None
    from_fork: bool
    updated_at: datetime
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class PullSeen:
    """A pull request that belongs to the task was opened, pushed to, closed, merged, or read again.

    `attempt` comes from the branch name (`task/<n>-<attempt>`); None when the branch does not say.
    """

    pull: PullFacts
    attempt: int | None
    author_can_write: bool
    closed_by_us: bool = False
    # The agents of the configuration whose account opened it; empty where it is an agent's account that none of them
    # uses, and None where it is no agent's.
    workers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ChecksSeen:
    """The state of all checks on one commit, ours left out."""

    sha: str
    state: ChecksState
    failed: tuple[FailedCheck, ...] = ()
    wait: CheckWaitReason | None = None  # what those that have not ended wait for


@dataclass(frozen=True, slots=True)
class ReviewSeen:
    """Somebody reviewed the pull request."""

    review_id: int
    pull_number: int
    sha: str
    reviewer: Actor
    can_write: bool
    state: str  # approved | changes_requested | commented | dismissed
    body: str
    submitted_at: datetime | None = None  # when its verdict was given, by GitHub's clock
    pull_updated_at: datetime | None = None  # of the pull request, when the news was sent
    workers: tuple[str, ...] | None = None  # as of a pull request: the agents whose account reviewed
    comments: tuple[LineComment, ...] = ()  # on lines, still raw


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """How an agent's work on an attempt goes: a workflow run, a session of a service, or its own word."""

    attempt: int
    state: SessionState
    at: datetime
    session: str | None = None  # how the adapter finds it again; None when it cannot say
    url: str = ""
    detail: str = ""  # how it ended, as the predicate of a sentence: `was cancelled`, `ended with failure`
    pull: int | None = None  # the pull request that it says is its work
    words: str = ""  # its last output, unchecked; may hold a plan or a review
    agent: str | None = None  # who says so, where it proved its name; only the holder's word counts then
    pushed: bool = False  # it is told by a push: that is progress, and not only a sign of life


@dataclass(frozen=True, slots=True)
class PlanDelivered:
    """A planning agent delivered its plan; `text` is still raw."""

    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class ReviewDelivered:
    """A reviewing agent delivered its verdict on the head that it was given; `text` is still raw."""

    attempt: int
    approves: bool
    text: str
    key: str = ""  # of what it came in, a review or a comment; empty: there is one verdict per attempt
    comments: tuple[LineComment, ...] = ()  # on lines, still raw


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """The start call was accepted. It proves nothing yet: the acknowledgement has to follow."""

    attempt: int
    session: str | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class AgentStartFailed:
    """The agent could not be started. `reason` says what a person must mend."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class AgentUnavailable:
    """The agent takes no work now (rate limit, out of credit, its service is down): nobody's fault.

    `until` is when it may be asked again; None leaves that to the rules. `unclear`: a call whose fate is unknown went
    out before, so it may have begun after all.
    """

    attempt: int
    reason: str
    until: datetime | None = None
    unclear: bool = False


@dataclass(frozen=True, slots=True)
class DeadlineDue:
    """A deadline has come due. `attempt` is the one it was set for."""

    kind: str
    attempt: int


@dataclass(frozen=True, slots=True)
class DependencyChanged:
    """What this task's readiness rests on changed: a dependency, an older twin, or a cycle it is part of.

    `number` is the issue whose news it is.
    """

    number: int


@dataclass(frozen=True, slots=True)
class DependencyRefused:
    """GitHub did not take a dependency (or its end) that a command asked for; `reason` is still raw."""

    asked: SetDependency
    reason: str


@dataclass(frozen=True, slots=True)
class QueueAdmission:
    """The queue is full, and the task is parked before it; or there is room again."""

    parked: bool


@dataclass(frozen=True, slots=True)
class Assigned:
    """The assignment pass chose (or could not choose) an agent for this task."""

    choice: AssignmentDecision
    patience: LearnedTimeout | None = None  # what the chosen agent's own attempts teach; None: the configured timeouts


@dataclass(frozen=True, slots=True)
class ReferencedIssue:
    """An issue that a command names, as GitHub tells it; `reference` is how the task's repository writes it now."""

    reference: str
    id: int
    pull_request: bool


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A slash command, from a comment or another door. `permission` is GitHub's word at this moment."""

    number: int  # of the issue or pull request where it was said: the answer goes there
    name: str
    argument: str
    actor: Actor
    permission: str  # none | read | triage | write | maintain | admin
    key: str  # of the comment and line: the answer is written once
    comment_id: int | None = None
    workers: tuple[str, ...] | None = None  # as of a pull request: the agents whose account said it
    probed: Mapping[str, HealthResult] = field(default_factory=dict)  # by agent, for `/agents`
    # The issues that a command about dependencies names, by the reference as written; None: there is no such issue.
    issues: Mapping[str, ReferencedIssue | None] = field(default_factory=dict)
    issue: IssueFacts | None = None  # as it was when the command was given; only for `/task`, and only of an issue
    at: datetime | None = None  # when it was written, by GitHub's clock; None: now
    pressed: bool = False  # by a button: there is no comment to react to, so the answer says whom it is for


@dataclass(frozen=True, slots=True)
class TaskCreated:
    """An issue was made a task as `/task` asked for; or it was not, and `problem` says why."""

    asked: CreateTask
    problem: str = ""


Signal = (
    IssueSeen
    | PullSeen
    | ChecksSeen
    | ReviewSeen
    | AgentSeen
    | PlanDelivered
    | ReviewDelivered
    | AgentStarted
    | AgentStartFailed
    | AgentUnavailable
    | AgentMessageResult
    | AgentPollEmpty
    | TrialMergeDone
    | MergeRefused
    | BranchUpdateDone
    | BaseMoved
    | DeadlineDue
    | DependencyChanged
    | DependencyRefused
    | BlockerCleared
    | OverlapPredicted
    | QueueAdmission
    | Assigned
    | CommandReceived
    | TaskCreated
    | EscalationDelivered
    | EscalationAnswered
)
