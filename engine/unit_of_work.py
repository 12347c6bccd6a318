"""Applies signals to the tasks of one repository, in one transaction that has the repository locked.

A handler, the scheduler, or the outbox opens a unit of work, applies signals, and leaves. On exit the queue is assigned
if something changed that could matter to it, and the jobs that send the effects are enqueued. Either everything is
committed (state, events, effects, deadlines, jobs) or nothing is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from adapters.database import dependency_graph, escalations, repositories, store, task_queue
from adapters.database.database import Database
from adapters.database.dependency_graph import TaskKey
from adapters.database.jobs import EffectGroup, JobQueue
from adapters.database.pending_writes import PendingWrites
from core.assignment.stats import attempt_records
from core.audit.chain import events_with_changes
from core.audit.events import EventType
from core.conflicts.pulls import ConflictReport
from core.decide import CommandContext, Context, Decision, decide
from core.effects.base import Effect, StartAgent
from core.handoff.packet import DependencyResult, dependency_result
from core.intake.readiness import ReadinessInputs
from core.retro.model import RetrospectiveOpened
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
from core.task.deadlines import DeadlineKind, DeadlineTarget, TargetKind, task_target
from core.task.dependencies import Dependency, merge_dependencies
from core.task.labels import capabilities_of
from core.task.model import Status, Task
from engine import conflicts, dependents, retrospectives
from engine.command_context import command_context, referenced_issues
from engine.dispatch import assign_queue, assignment_inputs, queue_admissions
from engine.readiness_inputs import load_readiness_inputs, save_dependencies
from engine.session import NoConfiguration, NumberedSignal, Session
from engine.team_changes import change_team

REEVALUATE = "look"  # the kind of the deadline of a task that depends on something that changed in another repository

_NOT_AGENT_ACTIVITY = (
    IssueSeen
    | Assigned
    | AgentPollEmpty
    | DependencyChanged
    | DeadlineDue
    | ChecksSeen
    | BaseMoved
    | EscalationDelivered
)


# After these the deadlines of a task may differ although the task did not change: the configuration may have changed,
# or the sweep has taken the row.
_RENEWS_DEADLINES = IssueSeen | DeadlineDue


_EVALUATES_READINESS = IssueSeen | DependencyChanged | BlockerCleared | CommandReceived


class UnitOfWork:
    """Applies signals on one repository. Made by `UnitOfWorkFactory.on`; lives as long as its transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def apply(self, number: int, signal: Signal) -> Decision:
        """Decide on a signal for the issue `number`, save the decision, and apply all signals that this causes.

        Depth first: what a signal causes is applied before the signal that follows it.
        """
        decision, caused = await self._decide(number, signal)
        pending = [caused]
        while pending:
            following = await anext(pending[-1], None)
            if following is None:
                pending.pop()
            else:
                _, caused = await self._decide(*following)
                pending.append(caused)
        return decision

    async def apply_all(self, signals: Iterable[NumberedSignal]) -> None:
        """Apply signals in order."""
        for number, signal in signals:
            await self.apply(number, signal)

    async def _decide(self, number: int, signal: Signal) -> tuple[Decision, AsyncIterator[NumberedSignal]]:
        """Decide on a signal and save the decision; also return the signals that it causes, not applied yet."""
        session = self.session
        before = await session.load_task(number)
        stored = await self._stored_dependencies(number, signal)
        readiness_inputs = await self._readiness_inputs(number, signal, before, stored)
        context = Context(
            now=session.now,
            policy=session.policy,
            repository_id=session.repository.id,
            repository=session.repository.full_name,
            default_branch=session.repository.default_branch,
            readiness_inputs=readiness_inputs,
            config_problems=session.repository.problems,
            signal_received_at=session.received_at,
            dependency_results=await self._dependency_results(number, signal),
            team=session.repository.team,
            # Signals that are never a sign of life bring no agent back.
            failed_agents=frozenset() if isinstance(signal, _NOT_AGENT_ACTIVITY) else session.failed_agents(),
            codeowners=session.repository.codeowners,
            agents=tuple(await session.agents()) if _needs_agents(signal) else (),
            command=await self._command_context(number, signal),
        )
        decision = decide(before, signal, context)
        await self._save(number, before, decision, isinstance(signal, _RENEWS_DEADLINES))
        return decision, self._caused_signals(number, signal, before, decision, stored)

    async def _caused_signals(
        self, number: int, signal: Signal, before: Task | None, decision: Decision, stored: Mapping[str, Dependency]
    ) -> AsyncIterator[NumberedSignal]:
        """Carry out what follows from a decision, step by step: each step sees what the signals before it changed."""
        session, task = self.session, decision.task
        if decision.team_changes:
            for caused in await change_team(session, decision.team_changes):
                yield caused
        if task is not None:
            concerned = await self._save_dependencies(number, signal, before, stored)
            if _is_in_graph(before) != _is_in_graph(task):
                await task_queue.update_depths(await session.flushed_connection(), session.repository.id, [number])
            for caused in await dependents.reevaluate_dependents(session, number, before, task, concerned):
                yield caused
            for caused in await dependents.release_queued(session, number, before, task):
                yield caused
            pull, pull_now = (before.pull if before else None), task.pull
            if pull and pull.open and (pull_now is None or pull_now.number != pull.number):
                session.closed_pulls.add(pull.number)
        if isinstance(signal, PullSeen):
            for caused in await conflicts.save_pull(session, signal.pull, number if task is not None else None):
                yield caused

    async def _command_context(self, number: int, signal: Signal) -> CommandContext:
        if not isinstance(signal, CommandReceived):
            return CommandContext()
        await self.session.write_audit_log()  # so that it is read to its end
        return await command_context(self.session, number, signal)

    async def _dependency_results(self, number: int, signal: Signal) -> tuple[DependencyResult, ...]:
        """Load the results of the task's dependencies; only for signals that may seal a packet."""
        if not isinstance(signal, Assigned | CommandReceived):
            return ()
        session = self.session
        stored = await dependency_graph.load_dependencies(session.connection, session.repository.id, number)
        results = []
        for reference, dependency in sorted(stored.items()):
            task = await session.load_task(int(reference[1:])) if reference.startswith("#") else None
            results.append(dependency_result(reference, dependency.finished, task))
        return tuple(results)

    async def _stored_dependencies(self, number: int, signal: Signal) -> Mapping[str, Dependency]:
        """Load the dependencies as last saved; only for signals that evaluate readiness."""
        if not isinstance(signal, _EVALUATES_READINESS):
            return {}
        session = self.session
        return await dependency_graph.load_dependencies(session.connection, session.repository.id, number)

    async def _save_dependencies(
        self, number: int, signal: Signal, before: Task | None, stored: Mapping[str, Dependency]
    ) -> frozenset[TaskKey]:
        """Save the dependencies of an issue; return the tasks whose readiness that may change."""
        if not isinstance(signal, IssueSeen) or (before and signal.issue.updated_at < before.issue_updated_at):
            return frozenset()
        dependencies = merge_dependencies(signal.dependencies, stored)
        if dependencies == stored:
            return frozenset()
        session = self.session
        return await save_dependencies(
            await session.flushed_connection(), session.repository, number, stored, dependencies
        )

    async def _readiness_inputs(
        self, number: int, signal: Signal, task: Task | None, existing: Mapping[str, Dependency]
    ) -> ReadinessInputs:
        """Load what readiness depends on; only for signals that evaluate it."""
        if not isinstance(signal, _EVALUATES_READINESS):
            return ReadinessInputs()
        session = self.session
        source = signal if isinstance(signal, IssueSeen) else task
        references = referenced_issues(signal) if isinstance(signal, CommandReceived) else ()
        connection = await session.flushed_connection()
        capabilities = capabilities_of(session.policy)
        return await load_readiness_inputs(
            connection, session.repository, number, source, capabilities, existing, references
        )

    async def _save(self, number: int, before: Task | None, decision: Decision, renew: bool) -> None:
        session, task = self.session, decision.task
        if task is not None and task != before:
            session.save_task(task)
            session.writes.save_attempts(attempt_records(before, task, session.now))
            await escalations.save(session.connection, before, task, decision.events, session.now)
        if task is not None and decision.deadlines is not None and (renew or task != before):
            session.writes.replace_deadlines(task_target(number), decision.deadlines)
        session.record_events(*events_with_changes(decision.events, before, task))
        if any(event.type is EventType.TASK_COMPLETED for event in decision.events):
            retrospectives.schedule_check(session)
        if decision.retrospective:
            await retrospectives.save_retrospective(session, decision.retrospective)
        for change in decision.agent_changes:
            await session.save_agent_change(change)
        session.team_changed |= any(event.type is EventType.AGENT_RECOVERED for event in decision.events)
        for effect in decision.effects:
            if isinstance(effect, StartAgent):
                await store.count_assignment(session.connection, session.repository.id, effect.agent)
        await session.enqueue_effects(number, *decision.effects)
        review = session.policy.merge.review
        if task is not None and (
            before is None or assignment_inputs(before, review) != assignment_inputs(task, review)
        ):
            session.changed_tasks.add(number)

    async def apply_report(self, report: ConflictReport | RetrospectiveOpened) -> None:
        """Save what a sender reports, and apply the signals that this causes."""
        if isinstance(report, ConflictReport):
            await self.apply_all(await conflicts.save_report(self.session, report))
        else:
            await retrospectives.record_opened_issue(self.session, report)

    async def assign_queue(self) -> None:
        """Assign tasks in queue order, until no agent has room."""
        await assign_queue(self.session, self.apply)

    async def finish(self) -> None:
        """Carry out what follows from all applied signals: assignments, and the jobs that send."""
        session = self.session
        while session.closed_pulls:
            numbers, session.closed_pulls = session.closed_pulls, set()
            await self.apply_all(await conflicts.delete_pairs_of(session, numbers))
        if session.changed_tasks or session.team_changed:
            await self.assign_queue()
            while admissions := await queue_admissions(session):
                await self.apply_all(admissions)
                if all(admission.parked for _, admission in admissions):
                    break
                await self.assign_queue()  # an agent may be free for the admitted tasks
        await session.write_audit_log()
        for repository_id, number in sorted(session.neighbours):
            target = DeadlineTarget(TargetKind.DEPENDENT, str(number))
            session.writes.set_deadline(repository_id, target, REEVALUATE, session.now)
        await session.flushed_connection()


def _needs_agents(signal: Signal) -> bool:
    """Whether the decision needs the list of agents: for commands, and for tasks that wait for an agent."""
    if isinstance(signal, DeadlineDue):
        return signal.kind in (DeadlineKind.QUEUE, DeadlineKind.STALL)
    return isinstance(signal, CommandReceived)


def _is_in_graph(task: Task | None) -> bool:
    """Whether the open graph of dependencies contains the task (`dependency_graph.load_open_graph`)."""
    return task is not None and task.status is not Status.DONE and not task.untracked


class UnitOfWorkFactory:
    """Opens units of work."""

    def __init__(
        self,
        database: Database,
        jobs: JobQueue,
        now: Callable[[], datetime],
        view_delay: timedelta = timedelta(),
        policy_fingerprint: str = "",
    ) -> None:
        """`now` returns the aware time of our clock; views that notify no user may wait `view_delay` for later changes.

        `policy_fingerprint` identifies the rules by which this process decides; empty if it is not known.
        """
        self.database = database
        self.jobs = jobs
        self.now = now
        self.policy_fingerprint = policy_fingerprint
        self._view_delay = view_delay

    @asynccontextmanager
    async def begin(
        self, repository_id: int, received_at: datetime | None = None, sending_number: EffectGroup | None = None
    ) -> AsyncIterator[UnitOfWork]:
        """Open a unit of work on one repository; commit it at the end unless an exception leaves it.

        `sending` are the effects that the job that opens it is sending: no other job is enqueued for those.

        Raises `NoConfiguration` where we only observe, also for an unknown repository.
        """
        async with self.database.transaction() as connection:
            row = await repositories.load_repository(connection, repository_id, lock=True)
            if row is None or not row.active:
                raise NoConfiguration(f"repository {repository_id}")
            session = Session(connection, row, self.now(), received_at, self._view_delay, sending_number)
            unit = UnitOfWork(session)
            yield unit
            await unit.finish()

    async def enqueue_effects(self, repository_id: int, number: int, *effects: Effect) -> None:
        """Put effects into the outbox without a decision on a task: an answer where we only observe."""
        writes = PendingWrites(repository_id, self.now())
        for effect in effects:
            writes.save_effect(number, effect)
        async with self.database.autocommit() as connection:
            await writes.flush(connection)
