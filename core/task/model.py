"""Defines the task: everything the rules know about one issue, as one immutable value.

A decision takes a `Task` and returns the next one (`dataclasses.replace`); nothing else holds state. Labels, task card
and deadlines are views of this value, so they cannot contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from core.conflicts.hold import Hold
from core.conflicts.pulls import ConflictingPull, Precedence, TrialMerge
from core.escalation.model import Escalation
from core.forecast.model import Forecast
from core.handoff.feedback import Feedback
from core.intake.parser import ParsedIssue
from core.stall.model import CheckWaitReason, Stall
from core.task.actor import Actor as Actor


class SessionState(StrEnum):
    """The state of an agent's work on one attempt, the same for every kind of agent."""

    QUEUED = "queued"  # accepted, not started: it is alive, and slow is not dead
    WORKING = "working"
    NEEDS_INPUT = "needs-input"  # it asks a person a question
    PAUSED = "paused"
    DELIVERED = "delivered"  # it reports that it is done
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes from this session."""
        return self in (self.DELIVERED, self.FAILED, self.CANCELLED, self.TIMED_OUT)


class Status(StrEnum):
    """Where a task stands; the label is `status:<value>`."""

    PENDING = "pending"
    READY = "ready"
    IN_PROGRESS = "in-progress"
    REVIEW = "review"
    DONE = "done"
    FAILED = "failed"


class Priority(StrEnum):
    """How urgent a task is; `P0` comes before everything else, always."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"

    @property
    def rank(self) -> int:
        """0 for the most urgent class."""
        return int(self.value[1])


class Kind(StrEnum):
    """The class of a task, which decides the plan that is handed to the agent; the label is `type:<value>`."""

    FUNCTIONAL = "functional"
    NON_FUNCTIONAL = "non-functional"


class Flag(StrEnum):
    """A circumstance shown as a label of its own, always with one sentence of reason on the card."""

    BLOCKED = "blocked"
    CONFLICT = "conflict"
    STALLED = "stalled"
    NEEDS_HUMAN = "needs-human"
    PARKED = "parked"


class Role(StrEnum):
    """The part an agent plays in a task."""

    PLAN = "plan"
    IMPLEMENT = "implement"
    REVIEW = "review"


class ChecksState(StrEnum):
    """The result of continuous integration for one commit."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"  # nothing ran, and nothing is expected to: the repository has no checks


@dataclass(frozen=True, slots=True)
class LearnedTimeout:
    """How long an agent may be silent, learned from its own attempts and fixed when it gets the task."""

    ack: timedelta  # before its first sign of life
    heartbeat: timedelta  # between two of them
    work: timedelta | None = None  # before it hands in, by what this repository's agents took; None: not known


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one agent to work on a task. The attempt number is its fencing token."""

    agent: str
    attempt: int
    branch: str
    since: datetime
    acknowledged_at: datetime | None = None
    last_activity_at: datetime | None = None
    started_at: datetime | None = None  # when the start call was accepted: only then it can be silent
    silence_check_at: datetime | None = None  # when it was last polled, or found not started yet
    silence_confirmed_at: datetime | None = None  # when the poll returned no sign of life
    session: str | None = None  # how its adapter finds the work again: the id of a run, of a session, …
    session_url: str | None = None
    holder_id: int | None = None  # of the person who claimed the task; None when an agent was assigned
    role: Role = Role.IMPLEMENT
    poll_seconds: int | None = None  # how often its service is polled; None for agents that send events
    last_poll_at: datetime | None = None  # when it was last polled for that reason
    progress: str = ""  # the holder's last progress report, cleaned
    learned_timeout: LearnedTimeout | None = None  # None: the configured timeouts
    pause_duration: timedelta = timedelta()  # how long a person paused it: it gets that much more time
    resumed_at: datetime | None = None  # when the last pause ended

    @property
    def silent_since(self) -> datetime:
        """When its silence began: the last sign of life, else its start; or the end of a later pause."""
        last_activity = self.last_activity_at or self.acknowledged_at or self.started_at or self.since
        return max(last_activity, self.resumed_at) if self.resumed_at else last_activity

    @property
    def worker(self) -> str | None:
        """The agent that holds it; None for a person, whose login may equal an agent's name."""
        return self.agent if self.holder_id is None else None


@dataclass(frozen=True, slots=True)
class Approval:
    """One reviewer's approval; it counts for this commit and no other."""

    sha: str
    by_bot: bool
    agent: str | None = None  # the reviewing agent that gave it; other bots cannot approve


@dataclass(frozen=True, slots=True)
class Pull:
    """The pull request that carries the current attempt, as far as the rules need it."""

    number: int
    attempt: int
    branch: str
    base: str
    head_sha: str
    url: str
    author: Actor
    updated_at: datetime
    head_seen_at: datetime
    draft: bool = False
    open: bool = True
    merged: bool = False
    merge_sha: str | None = None
    checks: ChecksState = ChecksState.PENDING
    checks_requested_at: datetime | None = None
    check_wait_reason: CheckWaitReason | None = None  # while they are pending; None: not read yet
    # By the reviewer's id; the verdict of an agent without an account stands under its attempt, negative.
    approvals: Mapping[int, Approval] = field(default_factory=dict)
    review_times: Mapping[int, datetime] = field(
        default_factory=dict
    )  # when each person last gave one, or had it dismissed
    mergeable_sha: str | None = None  # head SHA whose merge with the base was tried and is clean
    trial_base_sha: str | None = None  # the base's SHA at that trial
    base_sha: str | None = None  # the latest known base SHA; a trial merge with another one is outdated
    merge_requested_sha: str | None = None
    requested_update: str = ""  # head and base of the last update of the branch that the configuration asked for
    merge_attempt: int = 0  # how often the merge was requested; only the last request counts
    dod_fingerprint: str | None = None  # what the check `definition-of-done` last showed, to write it only once
    is_dod_pending: bool = False  # it is not urgent and may not be written yet
    conflict_fingerprint: str | None = None  # the same for the check `conflict-first`
    files: tuple[str, ...] = ()  # that it changes, as far as they are known
    trial_merge: TrialMerge | None = None  # how the merge of this head with the base came out
    conflicting_pulls: tuple[ConflictingPull, ...] = ()  # open pull requests that cannot be merged together with it
    requested_changes: Feedback | None = (
        None  # what a person wants changed of a draft that its agent is still at work on
    )

    @property
    def blocking_pulls(self) -> tuple[ConflictingPull, ...]:
        """The rivals that keep it from being merged."""
        return tuple(
            conflicting_pull
            for conflicting_pull in self.conflicting_pulls
            if conflicting_pull.precedence is not Precedence.OTHER and not conflicting_pull.is_ignored
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished attempt."""

    number: int
    agent: str
    started_at: datetime
    ended_at: datetime
    # delivered | failed | silent (no sign of life) | stalled (no progress) | unavailable | released | retried
    outcome: str
    reason: str
    branch: str
    counts_against_agent: bool  # counts against the agent and the limit of attempts
    pull: int | None = None
    head_sha: str | None = None
    feedback: Feedback | None = None
    role: Role = Role.IMPLEMENT
    by_person: bool = False
    is_mergeable: bool | None = None  # whether its head merged with the base when it ended; None: not known

    @property
    def worker(self) -> str | None:
        """The agent of the attempt; None for a person, whose login may equal an agent's name."""
        return None if self.by_person else self.agent


@dataclass(frozen=True, slots=True)
class Plan:
    """A planning agent's plan for the implementers, already cleaned."""

    text: str
    agent: str
    attempt: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """One agent in the table that `/explain` shows: its score, or why it was left out."""

    agent: str
    score: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    excluded: str | None = None


@dataclass(frozen=True, slots=True)
class AssignmentDecision:
    """The outcome of one assignment for one task, with everything that led to it."""

    agent: str | None
    reason: str
    candidates: tuple[Candidate, ...]
    decided_at: datetime
    role: Role = Role.IMPLEMENT  # which part of the task was to be handed out
    is_unassignable: bool = False  # no agent could have it, however long it waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One issue that carries the label `task`."""

    repository_id: int
    repository: str
    number: int
    issue_id: int
    title: str
    url: str
    author: Actor
    intake: ParsedIssue
    fingerprint: str
    text_digest: str
    issue_open: bool
    issue_updated_at: datetime
    created_at: datetime
    status: Status
    status_since: datetime
    priority: Priority
    kind: Kind
    kind_reason: str
    approved_digest: str | None = None
    approved_by: str | None = None
    kind_overridden: bool = False
    required_capabilities: tuple[str, ...] = ()
    readiness_problems: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()  # all that counts: `#12`, `owner/repo#3`
    open_dependencies: tuple[str, ...] = ()  # references of unfinished dependencies: `#12`, `owner/repo#3`
    flags: Mapping[Flag, str] = field(default_factory=dict)
    attempt: int = 0
    lease: Lease | None = None
    pull: Pull | None = None
    choice: AssignmentDecision | None = None
    history: tuple[Attempt, ...] = ()
    retry_offset: int = 0  # number of attempts before the last `/retry`: those no longer count
    untracked: bool = False  # a user removed the label `task`: the bot leaves it alone
    closed_by: str | None = None
    hold: Hold | None = None
    forecast: Forecast | None = None  # the files that it is likely to change
    ignored_overlaps: tuple[int, ...] = ()  # tasks that a person allowed this one to overlap
    plan: Plan | None = None
    review_lease: Lease | None = None  # of the agent that reviews the pull request, beside the one that wrote it
    ignored_conflicts: Mapping[int, datetime] = field(
        default_factory=dict
    )  # pull requests whose conflict does not count till then
    dismissed_conflict: str = ""  # the conflict whose label a person removed: only another conflict sets it again
    escalation: Escalation | None = None  # the open escalation
    stall: Stall | None = None  # nothing has moved for too long
    instruction_times: Mapping[str, datetime] = field(default_factory=dict)  # see `core.commands.ordering`
    wait_restarted_at: datetime | None = None  # when the present wait started again: a reminder, or progress

    @property
    def is_assignable(self) -> bool:
        """Whether it can be assigned to an agent now."""
        is_ready = self.status is Status.READY and not self.untracked
        return is_ready and not self.open_dependencies and not self.hold and Flag.PARKED not in self.flags

    @property
    def is_open(self) -> bool:
        """Whether work may still be needed."""
        return self.status not in (Status.DONE, Status.FAILED)

    @property
    def last_feedback(self) -> Feedback | None:
        """The feedback that the next attempt starts from."""
        return next((attempt.feedback for attempt in reversed(self.history) if attempt.feedback), None)

    def find_lease(self, attempt: int) -> Lease | None:
        """The lease with this fencing token: the holder's or the reviewer's."""
        return next((lease for lease in (self.lease, self.review_lease) if lease and lease.attempt == attempt), None)

    @property
    def counted_attempts(self) -> tuple[Attempt, ...]:
        """The attempts since a person last said `/retry`, which wipes the slate."""
        return self.history[self.retry_offset :]

    @property
    def failure_count(self) -> int:
        """How many attempts count against the limit."""
        return sum(attempt.counts_against_agent for attempt in self.counted_attempts)

    @property
    def work_attempts(self) -> tuple[Attempt, ...]:
        """The counted attempts at the work itself; planning and reviewing are no attempts at it."""
        return tuple(attempt for attempt in self.counted_attempts if attempt.role is Role.IMPLEMENT)

    @property
    def failed_plan(self) -> Attempt | None:
        """The attempt after which the task goes on without a plan, if there was one."""
        attempt = next((a for a in reversed(self.counted_attempts) if a.role is Role.PLAN), None)
        return attempt if self.plan is None else None

    def with_flag(self, flag: Flag, reason: str) -> Task:
        """The task with this flag up."""
        return replace(self, flags={**self.flags, flag: reason})

    def without_flags(self, *flags: Flag) -> Task:
        """The task without these flags."""
        return replace(self, flags={name: reason for name, reason in self.flags.items() if name not in flags})
