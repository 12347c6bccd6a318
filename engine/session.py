"""Holds the state of one transaction on a repository, and collects what the transaction will write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import agents, audit_log, store
from adapters.database.dependency_graph import TaskKey
from adapters.database.jobs import SEND, EffectGroup
from adapters.database.pending_writes import PendingWrites
from adapters.database.repositories import RepositoryRow
from config.repository import RepositoryConfig
from core.assignment.agent_state import AgentActivity, AgentStateChange, StateChangeKind
from core.assignment.rules import Agent
from core.audit.events import Event
from core.effects.base import AddReaction, Comment, Effect, RequestTrialMerge, UpsertCard, UpsertDigest
from core.review.definition_of_done import needs_reviewer
from core.signals.base import Signal
from core.task.deadlines import DeadlineTarget, TargetKind
from core.task.model import Task
from engine.agent_states import load_agents

# What a step returns when it causes signals for other tasks: the number of each task, and its signal.
NumberedSignal = tuple[int, Signal]

# What a dry run may write: what it would do, and answers to people.
_DRY_RUN_EFFECTS = (UpsertCard, UpsertDigest, Comment, AddReaction)

MAX_TRIAL_MERGE_WAIT = timedelta(seconds=10)  # until labels and card are written without the result
DETAIL_DELAY_FACTOR = 4  # a card that only shows details of a running attempt waits this many times longer

_TEAM_CHANGES = (StateChangeKind.FAILED, StateChangeKind.BACKING_OFF, StateChangeKind.RESUMED)


class NoConfiguration(LookupError):
    """The repository has no configuration: we only observe, and nothing may be decided there."""


class Session:
    """The state and the primitives of one transaction.

    Each row is read once. While the transaction has the repository locked, no other transaction changes it.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        repository: RepositoryRow,
        now: datetime,
        received_at: datetime | None,
        view_delay: timedelta,
        sending_number: EffectGroup | None,
    ) -> None:
        """`received_at` is when the event that is being handled reached us.

        `sending` are the effects that the job that opened the transaction is sending.
        """
        self.connection = connection  # for reads that no pending write can change; other reads use `written`
        self.now = now
        self.received_at = received_at
        self.writes = PendingWrites(repository.id, now, sending_number)
        self.use_repository(repository)
        self.changed_tasks: set[int] = set()  # whose change may lead to a different assignment
        self.team_changed = False  # an agent was added, removed, changed, or became available or unavailable
        self.closed_pulls: set[int] = set()  # pull requests that can no longer conflict with others
        self.neighbours: set[TaskKey] = set()  # tasks of other repositories that must be evaluated again
        self._view_delay = view_delay
        self._tasks: dict[int, Task | None] = {}
        self._agent_activity: dict[str, AgentActivity] = {}  # by agent
        self._events: tuple[Event, ...] = ()  # lines of the audit log that are not appended yet
        self._chain_end: tuple[int, str] | None = None  # of the audit log; None before the first read

    def use_repository(self, repository: RepositoryRow) -> None:
        """Use this row and its configuration from now on; raises `NoConfiguration` if it has none."""
        if repository.config is None:
            raise NoConfiguration(repository.full_name)
        self.repository = repository
        self.policy: RepositoryConfig = repository.config

    async def flushed_connection(self) -> AsyncConnection:
        """Flush the pending writes and return the connection: for reads that have to see them."""
        await self.writes.flush(self.connection)
        return self.connection

    async def load_task(self, number: int) -> Task | None:
        """Return the task of this issue, if it is one. The first call reads the rest of the state along with it."""
        if number not in self._tasks:
            if self._chain_end is None:
                state = await store.load_state(self.connection, self.repository.id, number)
                self._tasks[number], self._agent_activity, self._chain_end = (
                    state.task,
                    state.signs_of_life,
                    state.chain_end,
                )
            else:
                self._tasks[number] = await store.load_task(self.connection, self.repository.id, number)
        return self._tasks[number]

    def save_task(self, task: Task) -> None:
        """Save the new state of a task."""
        self._tasks[task.number] = task
        self.writes.save_task(task)

    def failed_agents(self) -> frozenset[str]:
        """Return the agents that failed and have shown no life since. A task has to be read before."""
        return frozenset(name for name, activity in self._agent_activity.items() if activity.is_in_error)

    async def save_agent_change(self, change: AgentStateChange) -> None:
        """Save a change of an agent's state, if it is worth a write."""
        signs = self._agent_activity.get(change.agent, AgentActivity())
        if signs.is_significant(change):
            await agents.save_state_change(self.connection, self.repository.id, change)
            self._agent_activity[change.agent] = signs.apply(change)
        self.team_changed |= change.kind in _TEAM_CHANGES

    async def enqueue_effects(self, number: int, *effects: Effect) -> None:
        """Put effects into the outbox, to be sent for this task or issue after the commit."""
        for effect in effects:
            if self.policy.dry_run and not isinstance(effect, _DRY_RUN_EFFECTS):
                continue
            delay = self._view_delay if getattr(effect, "can_wait", False) else timedelta()
            if isinstance(effect, UpsertCard) and effect.details_only:
                delay *= DETAIL_DELAY_FACTOR
            self.writes.save_effect(number, effect, delay)
            if isinstance(effect, RequestTrialMerge):  # labels and card wait for its result, but not for long
                target, group = DeadlineTarget(TargetKind.EFFECT, effect.key), EffectGroup(number)
                due_at = self.now + MAX_TRIAL_MERGE_WAIT
                self.writes.set_deadline(self.repository.id, target, SEND, due_at, payload=group._asdict())

    def set_deadline(self, target: DeadlineTarget, kind: str, due_at: datetime) -> None:
        """Set one deadline; a later call for the same target and kind moves it."""
        self.writes.set_deadline(self.repository.id, target, kind, due_at)

    def record_events(self, *events: Event) -> None:
        """Add events to the audit log, in order. `write_audit_log` appends them."""
        self._events += events

    async def write_audit_log(self) -> None:
        """Append the recorded events to the audit log."""
        events, self._events = self._events, ()
        await self._append(events)

    async def _append(self, events: Sequence[Event]) -> None:
        if not events:
            return
        if self._chain_end is None:
            self._chain_end = await audit_log.load_chain_end(self.connection, self.repository.id)
        self._chain_end = self.writes.append_events(events, self._chain_end)

    async def agents(self) -> list[Agent]:
        """Load the agents of the configuration, with their tasks and their state."""
        return await load_agents(await self.flushed_connection(), self.repository, self.now)

    def needs_agent(self, task: Task) -> bool:
        """Whether the task waits for an agent: to plan or implement it, or to review its pull request."""
        return task.is_assignable or needs_reviewer(task, self.policy.merge.review)
