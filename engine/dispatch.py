"""Assigns the tasks of the queue to agents: as many as the agents have room for, without a look at the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from adapters.database import agents as agent_rows
from adapters.database import attempts, dependency_graph, store, task_queue
from adapters.database.dependency_graph import ReferenceResolver
from adapters.database.in_progress import list_in_progress
from core.assignment.queue import overflow
from core.assignment.rules import Agent, AssignmentPass, without_failures
from core.assignment.stats import learn_timeout, learned_work_time
from core.conflicts.in_progress import InProgressTask, first_overlapping, has_started, in_progress_of
from core.decide import Decision
from core.review.definition_of_done import needs_reviewer
from core.signals.base import Assigned, OverlapPredicted, QueueAdmission, Signal
from core.task.model import AssignmentDecision, Role, Status, Task
from engine.session import Session

MAX_BATCH = 50  # tasks of the queue that are read together
MAX_HELD = 20  # tasks that one pass holds because of an overlap; each of them is an edit of a card
MAX_PASSED_OVER = 200  # tasks that one pass may pass over because of an overlap

Apply = Callable[[int, Signal], Awaitable[Decision]]  # `UnitOfWork.apply`


async def assign_queue(session: Session, apply: Apply) -> None:
    """Assign tasks in queue order, until no agent has room."""
    agents = await session.agents()
    for agent in agents:
        if available_at := agent.availability.until:  # no event will tell that it takes tasks again
            session.set_deadline(agent_rows.agent_target(agent.name), agent_rows.AGENT_BACKOFF, available_at)
    changed = set(session.changed_tasks)
    if session.team_changed and session.policy.merge.review == "agent":
        # If no agent is left to review, the card has to say so.
        review_tasks = await store.tasks_with_status(
            await session.flushed_connection(), session.repository.id, [Status.REVIEW]
        )
        changed |= {task.number for task in review_tasks}
    await assign_ready_tasks(session, apply, agents, changed)


async def queue_admissions(session: Session) -> list[tuple[int, QueueAdmission]]:
    """Return the signals that park what exceeds the depth of the queue, and admit what has room."""
    depth = session.policy.limits.max_queue_depth
    queue = await store.load_queue(await session.flushed_connection(), session.repository.id, depth)
    excess, admitted = overflow(queue, depth)
    return [
        *((number, QueueAdmission(parked=True)) for number in excess),
        *((number, QueueAdmission(parked=False)) for number in admitted),
    ]


def assignment_inputs(task: Task, review: str) -> tuple[object, ...]:
    """Return the parts of a task that may change an assignment; `review` is who reviews."""
    agents = (task.lease and task.lease.agent, task.review_lease and task.review_lease.agent)
    wait_state = (task.open_dependencies, task.hold is None, task.is_assignable, needs_reviewer(task, review))
    return (task.status, task.priority, task.required_capabilities, task.untracked, *agents, *wait_state)


async def assign_ready_tasks(session: Session, apply: Apply, agents: Sequence[Agent], changed: set[int]) -> None:
    """Assign tasks from the head of the queue while an agent has room; record why a `changed` task got no agent.

    A task whose reason was recorded before is not updated when the reason changes: with a thousand tasks waiting, each
    change would cost a thousand updates. `/explain` computes the reason again.
    """
    assignment_pass = AssignmentPass(agents, session.policy.scoring, session.now, session.policy.plan)
    overlaps = _OverlapGuard(session)
    visited: set[int] = set()
    while (available := assignment_pass.available_agents) and overlaps.held_count < MAX_PASSED_OVER:
        limit = min(MAX_BATCH, sum(agent.max_tasks - agent.active_tasks for agent in available))
        queue_filter = task_queue.queue_filter(available, session.policy)
        connection = await session.flushed_connection()
        tasks = await task_queue.list_assignable(connection, session.repository.id, queue_filter, limit, visited)
        for task in tasks:
            if session.needs_agent(task):
                await _assign(session, apply, task, assignment_pass, overlaps)
        visited.update(task.number for task in tasks)
        if len(tasks) < limit:
            break
    for number in sorted(changed - visited):
        changed_task = await session.load_task(number)
        if changed_task and not changed_task.untracked and session.needs_agent(changed_task):
            await _assign(session, apply, changed_task, assignment_pass, overlaps)


class _OverlapGuard:
    """Checks whether a task would overlap with one in progress, and how long an attempt usually takes.

    The tasks in progress and the durations are read when they are first needed, once in a pass.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._in_progress: dict[int, InProgressTask] | None = None
        self._durations: list[float] | None = None
        self.held_count = 0  # tasks of this pass that must wait for another task

    async def find_overlap(self, task: Task, choice: AssignmentDecision) -> OverlapPredicted | None:
        """Return the overlap with the task that this one must wait for; None if it can start."""
        threshold = self._session.policy.conflicts.overlap_threshold
        if choice.role is not Role.IMPLEMENT or not task.forecast or not task.forecast.files or has_started(task):
            return None
        candidates = dict(await self._load_in_progress())
        while overlapping := first_overlapping(task, candidates.values(), threshold):
            other, shared = overlapping
            if not await self._depends_on(other.number, task.number):
                return OverlapPredicted(other.number, shared.files, shared.probability, other.agent)
            del candidates[other.number]  # it waits for this task itself, directly or not
        return None

    def add_started(self, task: Task | None) -> None:
        """Count a task that was just assigned as in progress."""
        if task is not None and self._in_progress is not None:
            self._in_progress[task.number] = in_progress_of(task)

    async def work_duration(self) -> timedelta | None:
        """Return how long an agent may work before it delivers, learned from this repository's attempts."""
        if self._durations is None:
            session = self._session
            self._durations = await attempts.durations(
                await session.flushed_connection(), session.repository.id, session.now
            )
        return learned_work_time(self._durations)

    async def _load_in_progress(self) -> dict[int, InProgressTask]:
        if self._in_progress is None:
            session = self._session
            tasks = await list_in_progress(await session.flushed_connection(), session.repository.id)
            self._in_progress = {task.number: task for task in tasks}
        return self._in_progress

    async def _depends_on(self, number: int, other: int) -> bool:
        """Whether `number` depends on `other`, directly or not."""
        session = self._session
        dependencies = await dependency_graph.load_dependencies(session.connection, session.repository.id, number)
        if not dependencies:
            return False
        resolver = await ReferenceResolver.load(session.connection, session.repository)
        closure = await dependency_graph.dependency_closure(
            await session.flushed_connection(), resolver, number, dependencies
        )
        return any(f"#{other}" in references for references in closure.values())


async def _assign(
    session: Session, apply: Apply, task: Task, assignment_pass: AssignmentPass, overlaps: _OverlapGuard
) -> None:
    choice = assignment_pass.preview_choice(task)
    if choice.agent is not None and (overlap := await overlaps.find_overlap(task, choice)):
        if session.policy.dry_run:
            choice = replace(choice, agent=None, reason=f"dry run: it would wait for #{overlap.number}")
        else:
            overlaps.held_count += 1
            if overlaps.held_count <= MAX_HELD:  # a later pass holds the others
                await apply(task.number, overlap)
            return
    assignment_pass.record_choice(choice)
    if session.policy.dry_run:
        choice = without_failures(choice)
    if choice.agent is None:
        recorded = task.choice and (task.choice.agent, task.choice.reason, task.choice.role)
        if recorded != (None, choice.reason, choice.role):
            await apply(task.number, Assigned(choice))
        return
    rows = await attempts.list_recent(
        await session.flushed_connection(), session.repository.id, session.now, choice.agent
    )
    learned = learn_timeout(rows, session.policy.timeouts, await overlaps.work_duration())
    decision = await apply(task.number, Assigned(choice, learned))
    overlaps.add_started(decision.task)
