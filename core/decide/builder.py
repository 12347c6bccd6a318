"""The draft of a decision, and the decision itself.

A rule changes the draft's task and says what happened and what is wanted. What follows from the new state by itself
(labels, card, deadlines) is added once, in `conclude`, so that no rule can forget it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from config.repository import RepositoryConfig
from config.task_templates import Templates
from config.team import Change, Team
from core.assignment.agent_state import AgentNews, Turn
from core.assignment.queue import place_in_queue
from core.assignment.rules import Agent
from core.assignment.stats import Measures
from core.audit.events import Event, EventType
from core.conflicts.pulls import Flight, Pair
from core.conflicts.summary import conflict_of
from core.dead_letter import GivenUp
from core.effects.base import Effect, SetLabels, UpsertCard
from core.escalation.rules import ended
from core.handoff.packet import BuiltOn
from core.intake.readiness import Surroundings
from core.retro.model import Gathered, Retrospective
from core.task.deadlines import Deadline, deadlines_of
from core.task.labels import labels_of, right
from core.task.lifecycle import Trigger, move
from core.task.model import Flag, Lease, Priority, Pull, Role, Status, Task
from core.texts import card


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may know beyond the task and the signal."""

    now: datetime
    policy: RepositoryConfig
    repository_id: int
    repository: str
    default_branch: str = "main"
    around: Surroundings = field(default_factory=Surroundings)
    agents: tuple[Agent, ...] = ()  # as they are now, for `/explain`
    config_problems: tuple[str, ...] = ()  # of the file on the default branch, when an older one is in force
    since: datetime | None = None  # when the news that led here reached us
    builds_on: tuple[BuiltOn, ...] = ()  # what is known of the task's dependencies, for its packet
    team: Team = field(default_factory=Team)  # the agents as the files and people have them
    measures: Mapping[str, Mapping[str, Measures]] = field(default_factory=dict)  # by agent, then capability; "": all
    in_hand: Mapping[str, int] = field(default_factory=dict)  # tasks that each agent is at work on
    in_error: frozenset[str] = frozenset()  # agents that failed and have shown no life since
    named: Mapping[str, Task] = field(default_factory=dict)  # tasks that `/resolve` may mean, by reference
    trail: tuple[Event, ...] = ()  # the end of the task's audit trail, for `/history`
    templates: Templates = field(default_factory=Templates)  # for `/task`
    flights: tuple[Flight, ...] = ()  # open pull requests, for `/conflicts`
    pairs: tuple[Pair, ...] = ()  # of them, that change the same file
    codeowners: str = ""  # the repository's CODEOWNERS file, raw
    given_up: tuple[GivenUp, ...] = ()  # of this task, for `/status`
    queue: tuple[tuple[Task, int], ...] = ()  # in order, with the length of the chain behind each, for `/next`

    done: Gathered = field(default_factory=Gathered)  # what `/retro` looks back at
    retrospective: Retrospective | None = None  # the one whose issue this is, or the last one; for `/retro` and `/next`

    @property
    def heard_at(self) -> datetime:
        """When the news reached us; now, if nobody took the time."""
        return self.since or self.now


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome: what the task is now, what happened, what is wanted, and what it waits for."""

    task: Task | None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    deadlines: tuple[Deadline, ...] | None = None  # None: they stay as they are
    team: Mapping[str, Change] = field(default_factory=dict)  # what is changed of agents, by name
    agents: tuple[AgentNews, ...] = ()  # what it tells of agents themselves
    retrospective: Retrospective | None = None  # that is held, or changed


class Draft:
    """A decision in the making. Lives only as long as one call of `decide`."""

    def __init__(self, task: Task, context: Context, *, is_new: bool = False) -> None:
        """Start from the task as it is; a new one has no labels and no card yet."""
        self.before = None if is_new else task
        self.task = task
        self.context = context
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.agents: list[AgentNews] = []

    @property
    def now(self) -> datetime:
        """The time of the decision."""
        return self.context.now

    @property
    def policy(self) -> RepositoryConfig:
        """The repository's configuration."""
        return self.context.policy

    def set(self, **changes: Any) -> None:
        """Change fields of the task."""
        self.task = replace(self.task, **changes)

    def set_pull(self, **changes: Any) -> Pull:
        """Change fields of the task's pull request, which must be there."""
        if self.task.pull is None:
            raise ValueError(f"#{self.task.number} has no pull request")
        pull = replace(self.task.pull, **changes)
        self.set(pull=pull)
        return pull

    def set_lease(self, lease: Lease, **changes: Any) -> Lease:
        """Change fields of a lease of the task, of its holder or of its reviewer."""
        lease = replace(lease, **changes)
        self.set(**{"review" if lease.role is Role.REVIEW else "lease": lease})
        return lease

    def moved_on(self) -> None:
        """Something happened to the work: it is not stalled, and that wait begins anew."""
        self.set(reminded_at=self.now, stall=None)
        self.task = self.task.unflagged(Flag.STALLED)

    def move(self, trigger: Trigger) -> None:
        """Follow the transition table; a new status starts its waits anew."""
        self.task = replace(move(self.task, trigger, self.now), reminded_at=None)

    def tell(
        self,
        type_: EventType,
        *,
        actor: str | None = None,
        lease: Lease | None = None,
        of: str | None = None,
        **payload: Any,
    ) -> None:
        """Write a line into the audit trail; about the holder's attempt, unless another `lease` or agent is meant."""
        lease = lease or self.task.lease
        agent, attempt = (lease.agent, lease.attempt) if lease else (None, self.task.attempt or None)
        self.events.append(Event(type_, self.task.number, self.now, of or agent, attempt, actor, payload))

    def of_agent(self, agent: str, turn: Turn, reason: str = "", until: datetime | None = None) -> None:
        """News of an agent itself. One that was in error and shows life has recovered."""
        self.agents.append(AgentNews(agent, turn, self.now, reason, until))
        told = any(event.type is EventType.AGENT_RECOVERED for event in self.events)
        if turn in (Turn.SEEN, Turn.DELIVERED) and agent in self.context.in_error and not told:
            self.tell(EventType.AGENT_RECOVERED, of=agent)

    def want(self, *effects: Effect) -> None:
        """Ask for effects."""
        self.effects.extend(effects)

    def _calls_nobody(self) -> bool:
        """Whether what labels and card say anew is only how things go. That a flag is gone asks nothing of anybody."""
        acting = (Status.PENDING, Status.FAILED)
        known = set(self.before.flags.items()) if self.before else set()
        return self.before is not None and not self.task.flags.items() - known and self.task.status not in acting

    def _show_conflict(self) -> None:
        """The flag is a view of what is known of the pull request, but for what a person took it off for."""
        why = conflict_of(self.task) if self.task.is_open else None
        shown = why is not None and why != self.task.let_pass
        self.task = self.task.flagged(Flag.CONFLICT, why or "") if shown else self.task.unflagged(Flag.CONFLICT)

    def _drop_forecast(self) -> None:
        """A hold by forecast keeps a task from being handed out, and nothing else; and a P0 is looked at anew."""
        task, held = self.task, self.task.held
        if held is None or not held.foreseen:
            return
        urgent = self.before is not None and Priority.P0 is task.priority is not self.before.priority
        if task.status is Status.READY and not urgent:
            return
        if task.flags.get(Flag.BLOCKED) == held.said:
            self.task = task.unflagged(Flag.BLOCKED)
        self.set(held=None)

    def _end_stall(self) -> None:
        """A stall is over when something moved, when the work is another's, and when a person holds it or says so."""
        task = self.task
        paused = task.held is not None and task.held.paused
        at_work = task.status in (Status.IN_PROGRESS, Status.REVIEW) and not paused and not task.withdrawn
        if task.stall and not (at_work and Flag.STALLED in task.flags):
            self.task = replace(task.unflagged(Flag.STALLED), stall=None, reminded_at=self.now)
        known = self.before.stall if self.before else None
        if known and self.task.stall is None:
            self.tell(EventType.STALL_ENDED, reason=known.reason, cause=known.cause)

    def _end_call(self) -> None:
        """A call for a person whose cause is gone is over, whoever mended it; so is one whose label was taken off."""
        how = ended(self.task)
        if how is None:
            return
        call = self.task.escalation
        if call:
            self.tell(EventType.ESCALATION_ENDED, reason=call.reason, how=how)
        self.task = replace(self.task.unflagged(Flag.NEEDS_HUMAN), escalation=None)

    def conclude(self, labels_there: Collection[str] | None = None) -> Decision:
        """The finished decision, with what follows from the state by itself.

        `labels_there` are the issue's, when they were just read: what a person did to ours is put right.
        """
        self._drop_forecast()
        if self.task.held:
            # The flag is a view of the hold, whatever else raised or lowered it; a task that is over has none.
            held, over = self.task.held, not self.task.is_open
            self.task = replace(self.task, held=None) if over else self.task.flagged(Flag.BLOCKED, held.said)
        self._show_conflict()
        self._end_stall()
        self._end_call()
        choice = self.task.choice
        if choice and choice.agent is None and choice.role is not Role.REVIEW and not self.task.in_line:
            self.set(choice=None)  # nobody is looked for any more, so it says nothing of now
        task = self.task
        if Flag.PARKED in task.flags and place_in_queue(task) is None:
            task = self.task = task.unflagged(Flag.PARKED)
        views: list[Effect] = []
        new = self.before is None or labels_of(self.before) != labels_of(task)
        if not task.withdrawn and (new or (labels_there is not None and not right(labels_there, task))):
            # What a person did to ours is put right at once.
            views.append(SetLabels(task.number, labels_of(task), may_wait=new and self._calls_nobody()))
        if self.before is None or card(self.before, self.policy) != card(task, self.policy):
            details = not new and task.status in (Status.IN_PROGRESS, Status.REVIEW)
            views.append(UpsertCard(task.number, may_wait=self._calls_nobody(), details=details))
        deadlines = deadlines_of(task, self.policy.timeouts) if not task.withdrawn else ()
        return Decision(task, tuple(self.events), (*views, *self.effects), deadlines, agents=tuple(self.agents))
