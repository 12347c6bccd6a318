"""The line of tasks that wait for an agent: its head, and how long the chain behind each of them is.

The table `tasks` has what the order needs in columns, kept with every change. So whoever hands out reads as many tasks
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
from adapters.database.dependency_graph import OPEN
from config.repository import RepositoryConfig
from core.assignment.queue import chain_lengths
from core.assignment.rules import Agent
from core.task.model import Status, Task


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the agents that take work now could do; nothing else of the line has to be read."""

    abilities: frozenset[frozenset[str]]  # the capabilities of each that implements
    plans: bool = False  # somebody plans, and the configuration wants plans
    reviews: bool = False  # the same for reviews


def wanted_by(free: Iterable[Agent], policy: RepositoryConfig) -> Wanted:
    """What these agents could do."""
    roles = {role for agent in free for role in agent.roles}
    return Wanted(
        frozenset(agent.capabilities for agent in free if "implement" in agent.roles),
        policy.plan == "agent" and "plan" in roles,
        policy.merge.review == "agent" and "review" in roles,
    )


async def head(
    connection: AsyncConnection, repository_id: int, wanted: Wanted, limit: int, passed: Collection[int] = ()
) -> list[Task]:
    """The first tasks of the line, in queue order (`core.assignment.queue.order`), that somebody may be able to do.

    `passed` are tasks that were looked at already. To whoever plans or reviews, required capabilities are wishes.
    """
    able = sorted(sorted(names) for names in wanted.abilities)
    which = [and_(t.tasks.c.queued, t.tasks.c.required.contained_by(names)) for names in able]
    if wanted.plans:
        which.append(and_(t.tasks.c.queued, t.tasks.c.state["plan"].astext.is_(None)))
    if wanted.reviews:
        unreviewed = t.tasks.c.state["review"].astext.is_(None)
        which.append(and_(t.tasks.c.status == Status.REVIEW.value, t.tasks.c.withdrawn.is_(False), unreviewed))
    if not which:
        return []
    query = (
        select(t.tasks.c.state)
        .where(
            t.tasks.c.repository_id == repository_id,
            or_(*which),
        )
        .order_by(t.tasks.c.priority, t.tasks.c.behind.desc(), t.tasks.c.created_at, t.tasks.c.number)
        .limit(limit)
    )
    if passed:
        query = query.where(t.tasks.c.number.not_in(sorted(passed)))
    return [task_from_json(state) for state in (await connection.execute(query)).scalars()]


# Everything open that hangs together with some tasks (all open tasks, where no seeds are given), over dependencies in
# both directions: the length of the chain behind each, and what it depends on.
_CHAINS = """
    SELECT t.number, t.behind, (
        SELECT array_agg(substr(d.reference, 2)::integer) FROM dependencies d
        WHERE d.repository_id = t.repository_id AND d.number = t.number AND d.source <> 'lifted'
            AND d.reference ~ '^#[0-9]{1,9}$'
    ) AS needs
    FROM tasks t
    WHERE t.repository_id = :repository AND t.status = ANY(:open) AND NOT t.withdrawn
"""
_ALL_CHAINS = text(_CHAINS).bindparams(bindparam("open", type_=ARRAY(t.tasks.c.status.type)))
_NEAR_CHAINS = text(
    f"""
    WITH RECURSIVE near(number) AS (
        SELECT unnest(:seeds)
        UNION
        SELECT next.number
        FROM near
        CROSS JOIN LATERAL (
            SELECT substr(d.reference, 2)::integer AS number FROM dependencies d
            WHERE d.repository_id = :repository AND d.number = near.number AND d.source <> 'lifted'
                AND d.reference ~ '^#[0-9]{{1,9}}$'
            UNION ALL
            SELECT d.number FROM dependencies d
            WHERE d.repository_id = :repository AND d.source <> 'lifted'
                AND d.reference = '#' || near.number
        ) AS next
        JOIN tasks ON tasks.repository_id = :repository AND tasks.number = next.number
            AND tasks.status = ANY(:open) AND NOT tasks.withdrawn
    )
    {_CHAINS} AND t.number = ANY(ARRAY(SELECT number FROM near))
    """  # noqa: S608 - of constants alone
).bindparams(bindparam("seeds", type_=ARRAY(Integer)), bindparam("open", type_=ARRAY(t.tasks.c.status.type)))


async def renew_chains(connection: AsyncConnection, repository_id: int, numbers: Iterable[int] | None = None) -> None:
    """Bring the column `behind` up to date for tasks whose dependencies or openness changed, and all they reach.

    None renews the whole repository. What hangs together with nothing costs one query.
    """
    which = {"repository": repository_id, "open": OPEN}
    if numbers is None:
        rows = (await connection.execute(_ALL_CHAINS, which)).all()
    else:
        rows = (await connection.execute(_NEAR_CHAINS, {**which, "seeds": sorted(set(numbers))})).all()
    lengths = chain_lengths({row.number: row.needs or () for row in rows})
    news = [{"at": row.number, "now": lengths[row.number]} for row in rows if lengths[row.number] != row.behind]
    if news:
        one = (t.tasks.c.repository_id == repository_id, t.tasks.c.number == bindparam("at"))
        await connection.execute(update(t.tasks).where(*one).values(behind=bindparam("now")), news)
