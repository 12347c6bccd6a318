"""The unit of work: one transaction in which one repository has one writer, the rules decide, and all of it is kept.

Whoever has news (a handler, the scheduler, the outbox) opens one, applies signals, and leaves. On the way out the
queue is assigned if anything changed that could matter to it, and the jobs that send the effects are asked for. Either
everything is committed (state, events, effects, deadlines, jobs) or nothing is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import dependency_graph, escalations, repositories, store, task_queue
from adapters.database.database import Database
from adapters.database.dependency_graph import TaskKey
from adapters.database.jobs import JobQueue
from adapters.database.pending_writes import PendingWrites
from adapters.database.repositories import RepositoryRow
from config.repository import RepositoryConfig
from config.team import AgentOverride
from core.assignment.agent_state import StateChangeKind
from core.assignment.rules import Agent
from core.assignment.stats import lines
from core.audit.chain import events_with_changes
from core.audit.events import Event, EventType
from core.decide import CommandContext, Context, Decision, decide
from core.effects.base import AddReaction, Comment, Effect, EnsureLabels, StartAgent, UpsertCard, UpsertDigest
from core.handoff.packet import DependencyResult, built_on
from core.intake.readiness import ReadinessInputs
from core.review.definition_of_done import wants_reviewer
from core.signals.base import (
    AgentPollEmpty,
    Assigned,
    BaseMoved,
    BlockerCleared,
    ChecksSeen,
    CommandReceived,
    DeadlineDue,
    DependencyChanged,
    EscalationDelivered,
    IssueSeen,
    PullSeen,
    Signal,
)
from core.task.deadlines import DeadlineKind
from core.task.dependencies import Dependency, standing
from core.task.labels import capabilities_of, labels_to_offer
from core.task.model import Status, Task
from engine import conflicts, retrospectives
from engine.agent_states import roster
from engine.command_context import command_context, referenced_issues
from engine.dependents import reevaluate_dependents
from engine.dispatch import assign_queue, keep_depth, matters_to_queue
from engine.forecasts import ForecastService
from engine.readiness_inputs import surroundings, take_dependencies
from engine.session import Session

LOOK = "look"  # the subject `look:12`: something that the task rests on changed in another repository

# What a dry run may write: what it would do, and answers to people.
_HARMLESS = (UpsertCard, UpsertDigest, Comment, AddReaction)

DETAILS = 4  # times as long as other views a card waits that tells only details of what is under way

_NO_SIGN_OF_LIFE = (
    IssueSeen
    | Assigned
    | AgentPollEmpty
    | DependencyChanged
    | DeadlineDue
    | ChecksSeen
    | BaseMoved
    | EscalationDelivered
)


# After these the waits of a task may be other ones although the task is as it was: the configuration may have changed,
# or the sweep has taken the row.
_RENEWS_WAITS = IssueSeen | DeadlineDue


_LOOKS_AROUND = IssueSeen | DependencyChanged | BlockerCleared | CommandReceived  # at what readiness depends on


class NoConfiguration(LookupError):
    """The repository has no configuration: we only observe, and nothing may be decided there."""


class UnitOfWork:
    """One repository, locked. Made by `Work.on`; lives as long as its transaction."""

    def __init__(
        self,
        connection: AsyncConnection,
        repository: RepositoryRow,
        now: datetime,
        since: datetime | None,
        view_wait: timedelta,
        sending: int | None = None,
    ) -> None:
        """`since` is when the news that is being handled reached us.

        `sending` is the number whose effects are being sent by the job that opens it.
        """
        if repository.config is None:
            raise NoConfiguration(repository.full_name)
        self.connection = connection  # for what `_writes` does not know; reads of tasks and the like want `written`
        self.repository = repository
        self.policy: RepositoryConfig = repository.config
        self.now = now
        self.since = since
        self._view_wait = view_wait
        self._session = Session(connection, repository.id, now, sending)
        self._neighbours: set[TaskKey] = set()  # tasks of other repositories that have to look again
        self._queue_news: set[int] = set()  # tasks whose change may let an assignment come out differently
        self._trail: tuple[Event, ...] = ()  # lines of the audit trail that are to be written
        self._left: set[int] = set()  # pull requests that are in nobody's way any more
        self._team_news = False  # an agent came, went, was changed, takes work again, or no longer

    async def task(self, number: int) -> Task | None:
        """The task as this transaction sees it."""
        return await self._session.task(number)

    async def written(self) -> AsyncConnection:
        """The connection, after all that waits was written: for reads that have to see it."""
        return await self._session.written()

    async def apply(self, number: int, signal: Signal) -> Decision:
        """Let the rules decide on a signal for the issue `number`, and keep what they decide."""
        before = await self.task(number)
        stored = await self._stored_needs(number, signal)
        around = await self._readiness_inputs(number, signal, before, stored)
        context = Context(
            now=self.now,
            policy=self.policy,
            repository_id=self.repository.id,
            repository=self.repository.full_name,
            default_branch=self.repository.default_branch,
            readiness_inputs=around,
            config_problems=self.repository.problems,
            signal_received_at=self.since,
            dependency_results=await self._builds_on(number, signal),
            team=self.repository.team,
            # Signals that are never a sign of life bring no agent back.
            failed_agents=frozenset() if isinstance(signal, _NO_SIGN_OF_LIFE) else self._session.in_error(),
            codeowners=self.repository.codeowners,
            agents=tuple(await self.agents()) if _needs_agents(signal) else (),
            command=await self._command_context(number, signal),
        )
        decision = decide(before, signal, context)
        await self._keep(number, before, decision, isinstance(signal, _RENEWS_WAITS))
        if decision.team_changes:
            await self._change_team(decision.team_changes)
        if decision.task is not None:
            concerned = await self._take_dependencies(number, signal, before, stored)
            if _in_graph(before) != _in_graph(decision.task):
                await task_queue.update_depths(await self.written(), self.repository.id, [number])
            await reevaluate_dependents(self, number, before, decision.task, concerned)
            pull, now = (before.pull if before else None), decision.task.pull
            if pull and pull.open and (now is None or now.number != pull.number):
                self.pull_closed(pull.number)
        if isinstance(signal, PullSeen):
            await conflicts.on_pull_seen(self, signal.pull, number if decision.task is not None else None)
        return decision

    async def _command_context(self, number: int, signal: Signal) -> CommandContext:
        if not isinstance(signal, CommandReceived):
            return CommandContext()
        await self.write_trail()  # so that it is read to its end
        return await command_context(self, number, signal)

    def pull_closed(self, pull: int) -> None:
        """Note that this pull request is in nobody's way any more: those it conflicted with are told in the end."""
        self._left.add(pull)

    async def _builds_on(self, number: int, signal: Signal) -> tuple[DependencyResult, ...]:
        """What is known of the task's dependencies; read only when a packet may be sealed."""
        if not isinstance(signal, Assigned | CommandReceived):
            return ()
        stored = await dependency_graph.load_dependencies(self.connection, self.repository.id, number)
        found = []
        for reference, need in sorted(stored.items()):
            task = await self.task(int(reference[1:])) if reference.startswith("#") else None
            found.append(built_on(reference, need.finished, task))
        return tuple(found)

    async def _stored_needs(self, number: int, signal: Signal) -> Mapping[str, Dependency]:
        """What the task depends on, as last gathered; read only for signals that look at it."""
        if not isinstance(signal, _LOOKS_AROUND):
            return {}
        return await dependency_graph.load_dependencies(self.connection, self.repository.id, number)

    async def _take_dependencies(
        self, number: int, signal: Signal, before: Task | None, stored: Mapping[str, Dependency]
    ) -> frozenset[TaskKey]:
        """Keep what an issue depends on; gives those whom that concerns."""
        if not isinstance(signal, IssueSeen) or (before and signal.issue.updated_at < before.issue_updated_at):
            return frozenset()
        needs = standing(signal.dependencies, stored)
        if needs == stored:
            return frozenset()
        return await take_dependencies(await self.written(), self.repository, number, stored, needs)

    async def _readiness_inputs(
        self, number: int, signal: Signal, task: Task | None, stored: Mapping[str, Dependency]
    ) -> ReadinessInputs:
        """What readiness depends on; read only for signals that look at it."""
        if not isinstance(signal, _LOOKS_AROUND):
            return ReadinessInputs()
        news = signal if isinstance(signal, IssueSeen) else task
        named = referenced_issues(signal) if isinstance(signal, CommandReceived) else ()
        connection = await self.written()
        capabilities = capabilities_of(self.policy)
        return await surroundings(connection, self.repository, number, news, capabilities, stored, named)

    async def _keep(self, number: int, before: Task | None, decision: Decision, renew: bool) -> None:
        repository_id, task = self.repository.id, decision.task
        if task is not None and task != before:
            self._session.save_task(task)
            self._session.writes.save_attempts(lines(before, task, self.now))
            await escalations.save(self.connection, before, task, decision.events, self.now)
        if task is not None and decision.deadlines is not None and (renew or task != before):
            self._session.writes.replace_deadlines(f"task:{number}", decision.deadlines)
        self._trail += events_with_changes(decision.events, before, task)
        if any(event.type is EventType.TASK_COMPLETED for event in decision.events):
            retrospectives.done(self)
        if decision.retrospective:
            await retrospectives.keep(self, decision.retrospective)
        for news in decision.agent_changes:
            await self._session.note(news)
            self._team_news |= news.turn in (StateChangeKind.FAILED, StateChangeKind.COOLING, StateChangeKind.RESUMED)
        self._team_news |= any(event.type is EventType.AGENT_RECOVERED for event in decision.events)
        for effect in decision.effects:
            if isinstance(effect, StartAgent):
                await store.count_assignment(self.connection, repository_id, effect.agent)
        await self.enqueue_effects(number, *decision.effects)
        review = self.policy.merge.review
        if task is not None and (before is None or matters_to_queue(before, review) != matters_to_queue(task, review)):
            self._queue_news.add(number)

    async def _change_team(self, changes: Mapping[str, AgentOverride]) -> None:
        """Keep what a person changed of agents. It counts at once: no restart, and tasks in hand are not touched."""
        before = self.policy
        for name, change in changes.items():
            await repositories.save_team_change(self.connection, self.repository.id, name, change)
        row = await repositories.load_repository(self.connection, self.repository.id)
        if row is None or row.config is None:
            raise NoConfiguration(self.repository.full_name)
        self.repository, self.policy = row, row.config
        self._team_news = True
        if set(labels_to_offer(self.policy)) - set(labels_to_offer(before)):
            await self.enqueue_effects(0, EnsureLabels(labels_to_offer(self.policy)))
        had, has = capabilities_of(before), capabilities_of(self.policy)
        if had == has:
            return
        connection = await self.written()
        for task in await store.tasks_with_status(connection, self.repository.id, [Status.PENDING, Status.READY]):
            if bool(set(task.required) - had) != bool(set(task.required) - has):
                await self.apply(task.number, DependencyChanged(task.number))

    async def enqueue_effects(self, number: int, *effects: Effect) -> None:
        """Put effects into the outbox, to be sent for this task or issue once we have committed."""
        for effect in effects:
            if self.policy.dry_run and not isinstance(effect, _HARMLESS):
                continue
            wait = self._view_wait if getattr(effect, "may_wait", False) else timedelta()
            if isinstance(effect, UpsertCard) and effect.details:
                wait *= DETAILS
            self._session.writes.save_effect(number, effect, wait)

    async def reevaluate(self, number: int, places: Iterable[TaskKey]) -> None:
        """What these tasks rest on changed by news of `number`. Those of other repositories look in their own turn."""
        for repository_id, other in sorted(set(places)):
            if repository_id != self.repository.id:
                self._neighbours.add((repository_id, other))
            elif other != number:
                await self.apply(other, DependencyChanged(number))

    def record_events(self, *events: Event) -> None:
        """Lines for the audit trail that no decision on a task tells."""
        self._trail += events

    async def write_trail(self) -> None:
        """Append what was decided to the audit trail."""
        events, self._trail = self._trail, ()
        await self._session.append(events)

    def set_deadline(self, subject: str, kind: str, due_at: datetime, attempt: int = 0) -> None:
        """One wait; a later call for the same subject and kind moves it."""
        self._session.writes.set_deadline(self.repository.id, subject, kind, due_at, attempt)

    async def agents(self) -> list[Agent]:
        """The agents of the configuration: what they hold now, and how they are."""
        return await roster(await self.written(), self.repository, self.now)

    async def assign_queue(self) -> None:
        """Hand out what can be handed out, in queue order, until nobody has room."""
        await assign_queue(self, self._queue_news, team_news=self._team_news)

    def needs_agent(self, task: Task) -> bool:
        """Whether somebody is to be found for it: to plan or implement it, or to review its pull request."""
        return task.in_line or wants_reviewer(task, self.policy.merge.review)

    async def finish(self) -> None:
        """What follows from all that was applied: assignments, and the jobs that send."""
        while self._left:
            numbers, self._left = self._left, set()
            await conflicts.on_pulls_closed(self, numbers)
        if self._queue_news or self._team_news:
            await self.assign_queue()
            while await keep_depth(self):
                await self.assign_queue()  # those who were let in may find an agent
        await self.write_trail()
        for repository_id, number in sorted(self._neighbours):
            self._session.writes.set_deadline(repository_id, f"{LOOK}:{number}", LOOK, self.now)
        await self._session.written()


def _needs_agents(signal: Signal) -> bool:
    """Whether the decision asks which agents could take the task: commands do, and what waits for an agent."""
    if isinstance(signal, DeadlineDue):
        return signal.kind in (DeadlineKind.QUEUE, DeadlineKind.STALL)
    return isinstance(signal, CommandReceived)


def _in_graph(task: Task | None) -> bool:
    """Whether the chains of the queue go through it (`graph.open_graph`)."""
    return task is not None and task.status is not Status.DONE and not task.withdrawn


class UnitOfWorkFactory:
    """Opens units of work."""

    def __init__(
        self, database: Database, jobs: JobQueue, now: Callable[[], datetime], view_wait: timedelta = timedelta()
    ) -> None:
        """`now` gives the aware time of our clock; what calls nobody may wait for others as long as `view_wait`."""
        self.foresight: ForecastService | None = None  # whoever puts the bot together gives it one
        self.rules = ""  # by which is decided, as `config.build.rules_of` has it; empty: not known
        self.database = database
        self.jobs = jobs
        self.now = now
        self._view_wait = view_wait

    @asynccontextmanager
    async def on(
        self, repository_id: int, since: datetime | None = None, sending: int | None = None
    ) -> AsyncIterator[UnitOfWork]:
        """A unit of work on one repository, committed at the end unless an exception leaves it.

        `sending` is the number whose effects are being sent by the job that opens it: no other job is asked for that.

        Raises `NoConfiguration` where we only observe, also for a repository that we do not know.
        """
        async with self.database.transaction() as connection:
            row = await repositories.load_repository(connection, repository_id, lock=True)
            if row is None or not row.active:
                raise NoConfiguration(f"repository {repository_id}")
            unit = UnitOfWork(connection, row, self.now(), since, self._view_wait, sending)
            yield unit
            await unit.finish()

    async def send(self, repository_id: int, number: int, *effects: Effect) -> None:
        """Put effects into the outbox that no decision on a task asked for: an answer where we only observe."""
        writes = PendingWrites(repository_id, self.now())
        for effect in effects:
            writes.save_effect(number, effect)
        async with self.database.autocommit() as connection:
            await writes.flush(connection)
