"""From the line of waiting tasks to agents: as many as can be handed out, and no look at the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from adapters.database import agents as kept
from adapters.database import attempts, dependency_graph, store, task_queue
from adapters.database.dependency_graph import ReferenceResolver
from adapters.database.in_progress import list_in_progress
from core.assignment.queue import overflow
from core.assignment.rules import Agent, AssignmentPass, without_failures
from core.assignment.stats import learned_work, patience
from core.conflicts.in_progress import InProgressTask, first_overlapping, has_begun, in_progress_of
from core.review.definition_of_done import wants_reviewer
from core.signals.base import Assigned, OverlapPredicted, QueueAdmission
from core.task.model import AssignmentDecision, Role, Status, Task

if TYPE_CHECKING:
    from engine.unit_of_work import UnitOfWork

AT_ONCE = 50  # tasks of the line that are read together, at most
HELD_AT_ONCE = 20  # that are told in one pass that they wait behind another one; each is an edit of a card
PASSED_AT_ONCE = 200  # of the line that are looked at in one pass because those before them have to wait


async def assign_queue(unit: UnitOfWork, changed: Collection[int], *, team_news: bool) -> None:
    """Hand out what can be handed out, in queue order, until no agent has room.

    `changed` are tasks whose change may let it come out differently; `team_news`: so may a change of an agent.
    """
    agents = await unit.agents()
    for agent in agents:
        if again := agent.condition.until:  # nothing else would tell us that it takes work again
            unit.set_deadline(kept.agent_subject(agent.name), kept.AGENT_BACKOFF, again)
    news = set(changed)
    if team_news and unit.policy.merge.review == "agent":
        # Where no agent is left to review, a person is to know.
        reviews = await store.tasks_with_status(await unit.written(), unit.repository.id, [Status.REVIEW])
        news |= {task.number for task in reviews}
    await assign_ready_tasks(unit, agents, news)


async def keep_depth(unit: UnitOfWork) -> bool:
    """Park what is too much for the queue, and take in what has room; whether anything was taken in."""
    depth = unit.policy.limits.max_queue_depth
    over, room = overflow(await store.load_queue(await unit.written(), unit.repository.id, depth), depth)
    for number in over:
        await unit.apply(number, QueueAdmission(parked=True))
    for number in room:
        await unit.apply(number, QueueAdmission(parked=False))
    return bool(room)


def matters_to_queue(task: Task, review: str) -> tuple[object, ...]:
    """The parts of a task by which an assignment could come out differently; `review` is who reviews."""
    hands = (task.lease and task.lease.agent, task.review and task.review.agent)
    waits = (task.waits_for, task.held is None, task.in_line, wants_reviewer(task, review))
    return (task.status, task.priority, task.required, task.withdrawn, *hands, *waits)


async def assign_ready_tasks(unit: UnitOfWork, agents: Sequence[Agent], news: set[int]) -> None:
    """Hand out to `agents` from the head of the line while somebody has room; tell those of `news` that got nobody why.

    A task that was told before why it waits is not told again when the reason changes: with a thousand waiting, each
    change would cost a thousand. `/explain` looks anew.
    """
    round_ = AssignmentPass(agents, unit.policy.scoring, unit.now, unit.policy.plan)
    crossing = _OverlapGuard(unit)
    looked_at: set[int] = set()
    while (free := round_.free) and crossing.waiting < PASSED_AT_ONCE:
        limit = min(AT_ONCE, sum(agent.max_tasks - agent.holding for agent in free))
        wanted = task_queue.queue_filter(free, unit.policy)
        tasks = await task_queue.list_assignable(await unit.written(), unit.repository.id, wanted, limit, looked_at)
        for task in tasks:
            if unit.needs_agent(task):
                await _give(unit, task, round_, crossing)
        looked_at.update(task.number for task in tasks)
        if len(tasks) < limit:
            break
    for number in sorted(news - looked_at):
        task_now = await unit.task(number)
        if task_now and not task_now.withdrawn and unit.needs_agent(task_now):
            await _give(unit, task_now, round_, crossing)


class _OverlapGuard:
    """Before a task is handed out: would it meet one that is under way, and how long may it take?

    What is under way, and how long others took, is read when first asked, and once in a pass.
    """

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._under_way: dict[int, InProgressTask] | None = None
        self._taken: list[float] | None = None
        self.waiting = 0  # tasks that were found to wait behind others in this pass

    async def behind(self, task: Task, choice: AssignmentDecision) -> OverlapPredicted | None:
        """What the task has to wait behind; None when it may go."""
        threshold = self._unit.policy.conflicts.overlap_threshold
        if choice.role is not Role.IMPLEMENT or not task.forecast or not task.forecast.files or has_begun(task):
            return None
        others = await self._others()
        left = dict(others)
        while found := first_overlapping(task, left.values(), threshold):
            other, shared = found
            if not await self._needs(other.number, task.number):
                return OverlapPredicted(other.number, shared.files, shared.probability, other.agent)
            del left[other.number]  # it waits for this one itself, or is what comes after it
        return None

    async def went(self, task: Task | None) -> None:
        """From now on it is under way, too."""
        if task is not None and self._under_way is not None:
            self._under_way[task.number] = in_progress_of(task)

    async def work(self) -> timedelta | None:
        """How long an agent may work before it hands in, by what this repository's agents took."""
        if self._taken is None:
            self._taken = await attempts.durations(await self._unit.written(), self._unit.repository.id, self._unit.now)
        return learned_work(self._taken)

    async def _others(self) -> dict[int, InProgressTask]:
        if self._under_way is None:
            unit = self._unit
            self._under_way = {
                one.number: one for one in await list_in_progress(await unit.written(), unit.repository.id)
            }
        return self._under_way

    async def _needs(self, one: int, other: int) -> bool:
        """Whether `one` depends on `other`, by whatever way."""
        unit = self._unit
        needs = await dependency_graph.load_dependencies(unit.connection, unit.repository.id, one)
        if not needs:
            return False
        neighbours = await ReferenceResolver.load(unit.connection, unit.repository)
        ways = await dependency_graph.dependency_closure(await unit.written(), neighbours, one, needs)
        return any(f"#{other}" in further for further in ways.values())


async def _give(unit: UnitOfWork, task: Task, round_: AssignmentPass, crossing: _OverlapGuard) -> None:
    choice = round_.consider(task)
    if choice.agent is not None and (waits := await crossing.behind(task, choice)):
        if unit.policy.dry_run:
            choice = replace(choice, agent=None, reason=f"dry run: it would wait for #{waits.number}")
        else:
            crossing.waiting += 1
            if crossing.waiting <= HELD_AT_ONCE:  # the others are passed over, and told when their turn comes again
                await unit.apply(task.number, waits)
            return
    round_.take(choice)
    if unit.policy.dry_run:
        choice = without_failures(choice)
    if choice.agent is None:
        known = task.choice and (task.choice.agent, task.choice.reason, task.choice.role)
        if known != (None, choice.reason, choice.role):
            await unit.apply(task.number, Assigned(choice))
        return
    rows = await attempts.list_recent(await unit.written(), unit.repository.id, unit.now, choice.agent)
    learned = patience(rows, unit.policy.timeouts, await crossing.work())
    given = await unit.apply(task.number, Assigned(choice, learned))
    await crossing.went(given.task)
