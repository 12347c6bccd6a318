"""Builds a decision step by step.

A rule changes the draft's task and adds events and effects. What follows from the new state (labels, card, deadlines)
is added once in `build`, so that no rule can forget it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from config.repository import RepositoryConfig
from config.task_templates import Templates
from config.team import AgentOverride, Team
from core.assignment.agent_state import AgentStateChange, StateChangeKind
from core.assignment.queue import queue_state
from core.assignment.rules import Agent
from core.assignment.stats import AttemptStats
from core.audit.events import Event, EventType
from core.conflicts.pulls import OpenPull, PullPair
from core.conflicts.summary import conflict_reason
from core.dead_letter import DeadLetter
from core.effects.base import Effect, SetLabels, UpsertCard
from core.escalation.rules import end_reason
from core.handoff.packet import DependencyResult
from core.intake.readiness import ReadinessInputs
from core.retro.model import Retrospective, RetrospectiveInput
from core.task.deadlines import Deadline, deadlines_of
from core.task.labels import labels_of, with_status
from core.task.lifecycle import Trigger, apply_trigger
from core.task.model import Flag, Lease, Priority, Pull, Role, Status, Task
from core.texts import card_text


@dataclass(frozen=True, slots=True)
class CommandContext:
    """What only slash commands may read; a command gets the fields that the registry says it needs."""

    measures: Mapping[str, Mapping[str, AttemptStats]] = field(
        default_factory=dict
    )  # by agent, then capability; "": all
    active_tasks: Mapping[str, int] = field(default_factory=dict)  # tasks that each agent works on
    referenced_tasks: Mapping[str, Task] = field(default_factory=dict)  # by reference
    recent_events: tuple[Event, ...] = ()  # the end of the task's audit log
    assignments: tuple[Event, ...] = ()  # the assignments in the task's audit log, if an earlier one was asked for
    templates: Templates = field(default_factory=Templates)
    open_pulls: tuple[OpenPull, ...] = ()
    pairs: tuple[PullPair, ...] = ()  # those that change a common file
    dead_letters: tuple[DeadLetter, ...] = ()  # of this task
    queue: tuple[tuple[Task, int], ...] = ()  # in order, with the length of the chain of dependents
    retrospective_input: RetrospectiveInput = field(default_factory=RetrospectiveInput)
    retrospective: Retrospective | None = None  # of this issue, or the last one
    latest_retrospective: Retrospective | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may read besides the task and the signal."""

    now: datetime
    policy: RepositoryConfig
    repository_id: int
    repository: str
    default_branch: str = "main"
    readiness_inputs: ReadinessInputs = field(default_factory=ReadinessInputs)
    agents: tuple[Agent, ...] = ()  # in their present state, for `/explain`
    config_problems: tuple[str, ...] = ()  # of the file on the default branch, while an older version is active
    signal_received_at: datetime | None = None  # when the bot received what caused this signal
    dependency_results: tuple[DependencyResult, ...] = ()  # what is known of the task's dependencies, for its packet
    team: Team = field(default_factory=Team)  # the agents from files and commands
    failed_agents: frozenset[str] = frozenset()  # agents that failed and have shown no life since
    codeowners: str = ""  # the repository's CODEOWNERS file, raw
    command: CommandContext = field(default_factory=CommandContext)

    @property
    def received_at(self) -> datetime:
        """When the signal's cause was received; now, if that was not recorded."""
        return self.signal_received_at or self.now


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome: the new task, events, effects, and deadlines."""

    task: Task | None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    deadlines: tuple[Deadline, ...] | None = None  # None: unchanged
    team_changes: Mapping[str, AgentOverride] = field(default_factory=dict)  # changes of agents' settings, by name
    agent_changes: tuple[AgentStateChange, ...] = ()  # changes of agents' states
    retrospective: Retrospective | None = None  # that is opened or changed


class DecisionBuilder:
    """A decision under construction. It lives for one call of `decide`."""

    def __init__(self, task: Task, context: Context, *, is_new: bool = False) -> None:
        """Start from the present task; a new task has no labels and no card yet."""
        self.previous = None if is_new else task
        self.task = task
        self.context = context
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.agent_changes: list[AgentStateChange] = []

    @property
    def now(self) -> datetime:
        """The time of the decision."""
        return self.context.now

    @property
    def policy(self) -> RepositoryConfig:
        """The repository's configuration."""
        return self.context.policy

    def update_task(self, **changes: Any) -> None:
        """Change fields of the task."""
        self.task = replace(self.task, **changes)

    def update_pull(self, **changes: Any) -> Pull:
        """Change fields of the task's pull request, which must exist."""
        if self.task.pull is None:
            raise ValueError(f"#{self.task.number} has no pull request")
        pull = replace(self.task.pull, **changes)
        self.update_task(pull=pull)
        return pull

    def update_lease(self, lease: Lease, **changes: Any) -> Lease:
        """Change fields of one of the task's leases: the holder's or the reviewer's."""
        lease = replace(lease, **changes)
        self.update_task(**{"review_lease" if lease.role is Role.REVIEW else "lease": lease})
        return lease

    def record_progress(self) -> None:
        """Record that the work moved: the task is not stalled, and the stall deadline starts again."""
        self.update_task(wait_restarted_at=self.now, stall=None)
        self.task = self.task.without_flags(Flag.STALLED)

    def transition(self, trigger: Trigger) -> None:
        """Follow the transition table; a new status restarts its deadlines."""
        self.task = replace(apply_trigger(self.task, trigger, self.now), wait_restarted_at=None)

    def add_event(
        self,
        event_type: EventType,
        *,
        actor: str | None = None,
        lease: Lease | None = None,
        agent: str | None = None,
        **payload: Any,
    ) -> None:
        """Add an event to the audit log; about the holder's attempt, unless another `lease` or agent is given."""
        lease = lease or self.task.lease
        holder, attempt = (lease.agent, lease.attempt) if lease else (None, self.task.attempt or None)
        self.events.append(Event(event_type, self.task.number, self.now, agent or holder, attempt, actor, payload))

    def update_agent(self, agent: str, kind: StateChangeKind, reason: str = "", until: datetime | None = None) -> None:
        """Change an agent's state. An agent in error that shows life has recovered."""
        self.agent_changes.append(AgentStateChange(agent, kind, self.now, reason, until))
        is_recorded = any(event.type is EventType.AGENT_RECOVERED for event in self.events)
        if (
            kind in (StateChangeKind.SEEN, StateChangeKind.DELIVERED)
            and agent in self.context.failed_agents
            and not is_recorded
        ):
            self.add_event(EventType.AGENT_RECOVERED, agent=agent)

    def add_effect(self, *effects: Effect) -> None:
        """Add effects."""
        self.effects.extend(effects)

    def _is_routine_update(self) -> bool:
        """Whether the change of labels and card is routine. A removed flag requires no action either."""
        actionable = (Status.PENDING, Status.FAILED)
        previous_flags = set(self.previous.flags.items()) if self.previous else set()
        return (
            self.previous is not None
            and not self.task.flags.items() - previous_flags
            and self.task.status not in actionable
        )

    def _update_conflict_flag(self) -> None:
        """Set the flag from the state of the pull request, unless a person removed it for this conflict."""
        conflict = conflict_reason(self.task) if self.task.is_open else None
        is_shown = conflict is not None and conflict != self.task.dismissed_conflict
        self.task = (
            self.task.with_flag(Flag.CONFLICT, conflict or "") if is_shown else self.task.without_flags(Flag.CONFLICT)
        )

    def _drop_forecast_hold(self) -> None:
        """Drop a hold by forecast once the task cannot be assigned, and check a new P0 again."""
        task, hold = self.task, self.task.hold
        if hold is None or not hold.is_forecast:
            return
        is_newly_urgent = self.previous is not None and Priority.P0 is task.priority is not self.previous.priority
        if task.status is Status.READY and not is_newly_urgent:
            return
        if task.flags.get(Flag.BLOCKED) == hold.description:
            self.task = task.without_flags(Flag.BLOCKED)
        self.update_task(hold=None)

    def _end_stall(self) -> None:
        """End the stall if something moved, if another agent has the work, or if a person holds or resolves it."""
        task = self.task
        is_paused = task.hold is not None and task.hold.is_paused
        is_active = task.status in (Status.IN_PROGRESS, Status.REVIEW) and not is_paused and not task.untracked
        if task.stall and not (is_active and Flag.STALLED in task.flags):
            self.task = replace(task.without_flags(Flag.STALLED), stall=None, wait_restarted_at=self.now)
        previous_stall = self.previous.stall if self.previous else None
        if previous_stall and self.task.stall is None:
            self.add_event(EventType.STALL_ENDED, reason=previous_stall.reason, cause=previous_stall.cause)

    def _end_escalation(self) -> None:
        """End the escalation if its cause is gone, or if a person removed its label."""
        resolution = end_reason(self.task)
        if resolution is None:
            return
        escalation = self.task.escalation
        if escalation:
            self.add_event(EventType.ESCALATION_ENDED, reason=escalation.reason, how=resolution)
        self.task = replace(self.task.without_flags(Flag.NEEDS_HUMAN), escalation=None)

    def build(self, current_labels: Collection[str] | None = None) -> Decision:
        """Finish the decision and add what follows from the state.

        `current_labels` are the issue's labels if they were just read: the bot's own labels are corrected.
        """
        self._drop_forecast_hold()
        if self.task.hold:
            # The flag shows the hold, whatever else set or cleared it; a finished task has none.
            hold, is_closed = self.task.hold, not self.task.is_open
            self.task = (
                replace(self.task, hold=None) if is_closed else self.task.with_flag(Flag.BLOCKED, hold.description)
            )
        self._update_conflict_flag()
        self._end_stall()
        self._end_escalation()
        choice = self.task.choice
        if choice and choice.agent is None and choice.role is not Role.REVIEW and not self.task.is_assignable:
            self.update_task(choice=None)  # no agent is searched now, so the choice is outdated
        task = self.task
        if Flag.PARKED in task.flags and queue_state(task) is None:
            task = self.task = task.without_flags(Flag.PARKED)
        views: list[Effect] = []
        labels_changed = self.previous is None or labels_of(self.previous) != labels_of(task)
        if not task.untracked and (
            labels_changed or (current_labels is not None and not with_status(current_labels, task))
        ):
            # Labels that a person changed are corrected at once.
            views.append(SetLabels(task.number, labels_of(task), can_wait=labels_changed and self._is_routine_update()))
        if self.previous is None or card_text(self.previous, self.policy) != card_text(task, self.policy):
            details = not labels_changed and task.status in (Status.IN_PROGRESS, Status.REVIEW)
            views.append(UpsertCard(task.number, can_wait=self._is_routine_update(), details_only=details))
        deadlines = deadlines_of(task, self.policy.timeouts) if not task.untracked else ()
        return Decision(
            task, tuple(self.events), (*views, *self.effects), deadlines, agent_changes=tuple(self.agent_changes)
        )
