"""The line of tasks that wait for an agent: its head, and how long the chain behind each of them is.

The table `tasks` has what the order needs in columns, kept with every change. So dispatch reads as many tasks
as can be handed out, however long the line is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Integer, and_, bindparam, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.codec import task_from_json
from adapters.database.dependency_graph import OPEN_STATUSES
from adapters.database.task_state import task_field
from config.repository import RepositoryConfig
from core.assignment.queue import dependents_depth
from core.assignment.rules import Agent
from core.task.model import Status, Task


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """What the agents that take work now could do; nothing else of the line has to be read."""

    capability_sets: frozenset[frozenset[str]]  # the capabilities of each that implements
    can_plan: bool = False  # an agent plans, and the configuration wants plans
    can_review: bool = False  # the same for reviews


def queue_filter(agents: Iterable[Agent], policy: RepositoryConfig) -> QueueFilter:
    """What these agents could do."""
    roles = {role for agent in agents for role in agent.roles}
    return QueueFilter(
        frozenset(agent.capabilities for agent in agents if "implement" in agent.roles),
        policy.plan == "agent" and "plan" in roles,
        policy.merge.review == "agent" and "review" in roles,
    )


async def list_assignable(
    connection: AsyncConnection, repository_id: int, criteria: QueueFilter, limit: int, excluded: Collection[int] = ()
) -> list[Task]:
    """The first tasks of the line, in queue order (`core.assignment.queue.order`), that an agent may be able to do.

    `passed` are tasks that were looked at already. For planning and reviews, required capabilities are wishes.
    """
    capability_sets = sorted(sorted(names) for names in criteria.capability_sets)
    conditions = [and_(t.in_queue, t.tasks.c.required_capabilities.contained_by(names)) for names in capability_sets]
    if criteria.can_plan:
        conditions.append(and_(t.in_queue, task_field("plan").astext.is_(None)))
    if criteria.can_review:
        unreviewed = task_field("review_lease").astext.is_(None)
        conditions.append(and_(t.tasks.c.status == Status.REVIEW.value, t.tasks.c.untracked.is_(False), unreviewed))
    if not conditions:
        return []
    query = (
        select(t.tasks.c.state)
        .where(
            t.tasks.c.repository_id == repository_id,
            or_(*conditions),
        )
        .order_by(t.tasks.c.priority, t.tasks.c.dependents_depth.desc(), t.tasks.c.created_at, t.tasks.c.number)
        .limit(limit)
    )
    if excluded:
        query = query.where(t.tasks.c.number.not_in(sorted(excluded)))
    return [task_from_json(state) for state in (await connection.execute(query)).scalars()]


# Everything open that hangs together with some tasks (all open tasks, where no seeds are given), over dependencies in
# both directions: the length of the chain behind each, and what it depends on.
_DEPENDENCIES_SQL = """
    SELECT t.number, t.dependents_depth, (
        SELECT array_agg(substr(d.reference, 2)::integer) FROM dependencies d
        WHERE d.repository_id = t.repository_id AND d.number = t.number AND d.source <> 'removed'
            AND d.reference ~ '^#[0-9]{1,9}$'
    ) AS needs
    FROM tasks t
    WHERE t.repository_id = :repository AND t.status = ANY(:open) AND NOT t.untracked
"""
_ALL_DEPENDENCIES = text(_DEPENDENCIES_SQL).bindparams(bindparam("open", type_=ARRAY(t.tasks.c.status.type)))
_CONNECTED_DEPENDENCIES = text(
    f"""
    WITH RECURSIVE near(number) AS (
        SELECT unnest(:seeds)
        UNION
        SELECT next.number
        FROM near
        CROSS JOIN LATERAL (
            SELECT substr(d.reference, 2)::integer AS number FROM dependencies d
            WHERE d.repository_id = :repository AND d.number = near.number AND d.source <> 'removed'
                AND d.reference ~ '^#[0-9]{{1,9}}$'
            UNION ALL
            SELECT d.number FROM dependencies d
            WHERE d.repository_id = :repository AND d.source <> 'removed'
                AND d.reference = '#' || near.number
        ) AS next
        JOIN tasks ON tasks.repository_id = :repository AND tasks.number = next.number
            AND tasks.status = ANY(:open) AND NOT tasks.untracked
    )
    {_DEPENDENCIES_SQL} AND t.number = ANY(ARRAY(SELECT number FROM near))
    """  # noqa: S608 - of constants alone
).bindparams(bindparam("seeds", type_=ARRAY(Integer)), bindparam("open", type_=ARRAY(t.tasks.c.status.type)))


async def update_depths(connection: AsyncConnection, repository_id: int, numbers: Iterable[int] | None = None) -> None:
    """Update the column `dependents_depth` of tasks whose dependencies or openness changed, and of all they reach.

    None updates the whole repository. A task without dependencies and dependents costs one query.
    """
    parameters = {"repository": repository_id, "open": OPEN_STATUSES}
    if numbers is None:
        rows = (await connection.execute(_ALL_DEPENDENCIES, parameters)).all()
    else:
        rows = (await connection.execute(_CONNECTED_DEPENDENCIES, {**parameters, "seeds": sorted(set(numbers))})).all()
    depths = dependents_depth({row.number: row.needs or () for row in rows})
    updates = [
        {"at": row.number, "now": depths[row.number]} for row in rows if depths[row.number] != row.dependents_depth
    ]
    if updates:
        conditions = (t.tasks.c.repository_id == repository_id, t.tasks.c.number == bindparam("at"))
        await connection.execute(update(t.tasks).where(*conditions).values(dependents_depth=bindparam("now")), updates)
