"""Defines signals, the input of every decision.

A signal is a fact from a delivery, GitHub's API, git or the clock. It carries what is needed to recognise outdated
information: `updated_at`, a head SHA, an attempt number.
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
from core.intake.parser import ParsedIssue, fingerprint, parse_issue
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
    """An issue as GitHub returns it; `title` and `body` are raw and hostile."""

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
    intake: ParsedIssue  # the parsed body
    fingerprint: str


def read_issue(*, title: str, body: str, **facts: Any) -> IssueFacts:
    """The facts of an issue with its text parsed; `facts` are the other fields of `IssueFacts`."""
    intake = parse_issue(body)
    return IssueFacts(title=title, body=body, intake=intake, fingerprint=fingerprint(title, intake), **facts)


@dataclass(frozen=True, slots=True)
class IssueSeen:
    """An issue was opened, edited, labelled, closed, reopened, or read again.

    `sender` is None if the actor is unknown (reconcile read the issue). `label` is the label that the sender added
    (`label_added`) or removed.
    """

    issue: IssueFacts
    sender: Actor | None = None
    sender_can_write: bool = False
    sender_is_us: bool = False
    label: str | None = None
    label_added: bool = False
    occurred_at: datetime | None = None  # when that happened; None: at the issue's own time
    was_open: bool = False  # it is closed now but was open when the event was created
    # The dependencies from the text and from GitHub's own relations, by reference (`#12`, `owner/repo#3`).
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    forecast: Forecast | None = None  # of this text; None: nothing new
    missed_changes: tuple[LabelChange, ...] = ()  # earlier changes whose events were lost; the oldest first


def deleted_issue(task: Task) -> IssueSeen:
    """The signal for a task whose issue no longer exists: the same as closing it as not planned."""
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
    """A pull request as GitHub returns it."""

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
    """A pull request of the task was opened, pushed to, closed, merged, or read again.

    `attempt` comes from the branch name (`task/<n>-<attempt>`); None if the branch does not say.
    """

    pull: PullFacts
    attempt: int | None
    author_can_write: bool
    closed_by_us: bool = False
    # The configured agents whose account opened it; empty if it is an agent's account that none of them uses, and None
    # if it is no agent's account.
    agent_names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ChecksSeen:
    """The state of all checks on one commit, except the bot's own."""

    sha: str
    state: ChecksState
    failed: tuple[FailedCheck, ...] = ()
    wait_reason: CheckWaitReason | None = None  # what unfinished checks wait for


@dataclass(frozen=True, slots=True)
class ReviewSeen:
    """A user or agent reviewed the pull request."""

    review_id: int
    pull_number: int
    sha: str
    reviewer: Actor
    can_write: bool
    state: str  # approved | changes_requested | commented | dismissed
    body: str
    submitted_at: datetime | None = None  # when the review was submitted, by GitHub's clock
    pull_updated_at: datetime | None = None  # of the pull request, when the event was sent
    agent_names: tuple[str, ...] | None = None  # as of a pull request: the agents whose account reviewed
    comments: tuple[LineComment, ...] = ()  # on lines, still raw


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """The state of an agent's work on an attempt: from a workflow run, a session of a service, or the agent itself."""

    attempt: int
    state: SessionState
    occurred_at: datetime
    session: str | None = None  # how the adapter finds it again; None if unknown
    url: str = ""
    detail: str = ""  # how it ended, as the predicate of a sentence: `was cancelled`, `ended with failure`
    pull_number: int | None = None  # the pull request that it reports as its work
    output: str = ""  # its last message, unchecked; may hold a plan or a review
    agent: str | None = None  # the sender, if it proved its name; only the holder's reports count then
    from_push: bool = False  # reported by a push, which is progress and not only a sign of life


@dataclass(frozen=True, slots=True)
class PlanDelivered:
    """A planning agent delivered its plan; `text` is still raw."""

    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class ReviewDelivered:
    """A reviewing agent delivered its verdict on the head that it received; `text` is still raw."""

    attempt: int
    approves: bool
    text: str
    key: str = ""  # of the review or comment; empty: there is one verdict per attempt
    comments: tuple[LineComment, ...] = ()  # on lines, still raw


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """The call that starts an agent was accepted. It proves nothing yet: the acknowledgement must follow."""

    attempt: int
    session: str | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class AgentStartFailed:
    """The agent could not be started. `reason` says what a person must fix."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class AgentUnavailable:
    """The agent takes no work now (rate limit, out of credit, service down); the attempt does not count.

    `until` is when it may be asked again; None leaves that to the rules. `unclear`: an earlier call had an unknown
    result, so the agent may have started after all.
    """

    attempt: int
    reason: str
    until: datetime | None = None
    may_have_started: bool = False


@dataclass(frozen=True, slots=True)
class DeadlineDue:
    """A deadline is due. `attempt` is the attempt it was set for."""

    kind: str
    attempt: int


@dataclass(frozen=True, slots=True)
class DependencyChanged:
    """Something that this task's readiness depends on changed: a dependency, an older duplicate, or a cycle.

    `number` is the issue that changed.
    """

    number: int


@dataclass(frozen=True, slots=True)
class DependencyRefused:
    """GitHub refused to add or remove a dependency that a command asked for; `reason` is still raw."""

    effect: SetDependency
    reason: str


@dataclass(frozen=True, slots=True)
class QueueAdmission:
    """The queue is full and the task is parked outside it; or the queue has room again."""

    parked: bool


@dataclass(frozen=True, slots=True)
class Assigned:
    """The assignment pass chose an agent for this task, or found none."""

    choice: AssignmentDecision
    learned_timeout: LearnedTimeout | None = (
        None  # learned from the chosen agent's attempts; None: the configured timeouts
    )


@dataclass(frozen=True, slots=True)
class ReferencedIssue:
    """An issue that a command names; `reference` is how the task's repository writes it now."""

    reference: str
    id: int
    is_pull_request: bool


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A user or agent gave a command. `permission` is the role that GitHub reports at this moment."""

    number: int  # of the issue or pull request with the command: the answer goes there
    name: str
    argument: str
    actor: Actor
    permission: str  # none | read | triage | write | maintain | admin
    key: str  # of the comment and line: the answer is written once
    comment_id: int | None = None
    agent_names: tuple[str, ...] | None = None  # as of a pull request: the agents whose account said it
    health: Mapping[str, HealthResult] = field(default_factory=dict)  # by agent, for `/agents`
    # The issues that a command about dependencies names, by the reference as written; None: the issue does not exist.
    referenced_issues: Mapping[str, ReferencedIssue | None] = field(default_factory=dict)
    issue: IssueFacts | None = None  # when the command was given; only for `/task`, and only of an issue
    occurred_at: datetime | None = None  # when it was written, by GitHub's clock; None: now
    from_button: bool = False  # by a button: there is no comment to react to, so the answer mentions the user
    note: str = ""  # added to the answer


@dataclass(frozen=True, slots=True)
class TaskCreated:
    """An issue was made a task as `/task` requested; if that failed, `problem` says why."""

    effect: CreateTask
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
