"""From the line of waiting tasks to agents: as many as can be handed out, and no look at the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapters.database import line, measures
from core.assignment import Agent, Round, untried
from core.measures import patience
from core.signals import Assigned
from core.task import Choice, Task

if TYPE_CHECKING:
    from adapters.unit_of_work import UnitOfWork

AT_ONCE = 50  # tasks of the line that are read together, at most


async def hand_out(unit: UnitOfWork, agents: Sequence[Agent], news: set[int]) -> None:
    """Hand out to `agents` from the head of the line while somebody has room; tell those of `news` that got nobody why.

    A task that was told before why it waits is not told again when the reason changes: with a thousand waiting, each
    change would cost a thousand. `/explain` looks anew.
    """
    round_ = Round(agents, unit.policy.scoring, unit.now, unit.policy.plan)
    looked_at: set[int] = set()
    while free := round_.free:
        limit = min(AT_ONCE, sum(agent.max_tasks - agent.holding for agent in free))
        wanted = line.wanted_by(free, unit.policy)
        tasks = await line.head(unit.connection, unit.repository.id, wanted, limit, looked_at)
        for task in tasks:
            if unit.waits_for_an_agent(task):
                await _give(unit, task, round_.choose(task))
        looked_at.update(task.number for task in tasks)
        if len(tasks) < limit:
            break
    for number in sorted(news - looked_at):
        task_now = await unit.task(number)
        if task_now and not task_now.withdrawn and unit.waits_for_an_agent(task_now):
            await _give(unit, task_now, round_.choose(task_now))


async def _give(unit: UnitOfWork, task: Task, choice: Choice) -> None:
    if unit.policy.dry_run:
        choice = untried(choice)
    if choice.agent is None:
        known = task.choice and (task.choice.agent, task.choice.reason, task.choice.role)
        if known != (None, choice.reason, choice.role):
            await unit.apply(task.number, Assigned(choice))
        return
    rows = await measures.rows_of(unit.connection, unit.repository.id, unit.now, choice.agent)
    await unit.apply(task.number, Assigned(choice, patience(rows, unit.policy.timeouts)))
