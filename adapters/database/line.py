"""The line of tasks that wait for an agent: its head, and how long the chain behind each of them is.

The table `tasks` has what the order needs in columns, kept with every change. So whoever hands out reads as many tasks
as can be handed out, however long the line is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Integer, and_, any_, bindparam, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.codec import task_from_json
from adapters.database.graph import OPEN
from config.repository import RepositoryConfig
from core.assignment import Agent
from core.dependencies import Source
from core.queue import chain_lengths
from core.task import Status, Task


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
    """The first tasks of the line, in queue order (`core.queue.order`), that somebody may be able to do.

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


# Everything open that hangs together with some tasks, over dependencies in both directions.
_NEIGHBOURS = text(
    """
    WITH RECURSIVE near(number) AS (
        SELECT unnest(:seeds)
        UNION
        SELECT next.number
        FROM near
        CROSS JOIN LATERAL (
            SELECT substr(d.reference, 2)::integer AS number FROM dependencies d
            WHERE d.repository_id = :repository AND d.number = near.number AND d.source <> 'lifted'
                AND d.reference ~ '^#[0-9]{1,9}$'
            UNION ALL
            SELECT d.number FROM dependencies d
            WHERE d.repository_id = :repository AND d.source <> 'lifted'
                AND d.reference = '#' || near.number
        ) AS next
        JOIN tasks ON tasks.repository_id = :repository AND tasks.number = next.number
            AND tasks.status = ANY(:open) AND NOT tasks.withdrawn
    )
    SELECT number FROM near
    """
).bindparams(bindparam("seeds", type_=ARRAY(Integer)), bindparam("open", type_=ARRAY(t.tasks.c.status.type)))


async def renew_chains(connection: AsyncConnection, repository_id: int, numbers: Iterable[int] | None = None) -> None:
    """Bring the column `behind` up to date for tasks whose dependencies or openness changed, and all they reach.

    None renews the whole repository. What hangs together with nothing costs one query.
    """
    tasks = select(t.tasks.c.number, t.tasks.c.behind).where(
        t.tasks.c.repository_id == repository_id, t.tasks.c.status.in_(OPEN), t.tasks.c.withdrawn.is_(False)
    )
    needs = select(t.dependencies.c.number, t.dependencies.c.reference).where(
        t.dependencies.c.repository_id == repository_id,
        t.dependencies.c.reference.startswith("#"),
        t.dependencies.c.source != Source.LIFTED.value,
    )
    if numbers is not None:
        seeds = {"repository": repository_id, "seeds": sorted(set(numbers)), "open": OPEN}
        near = list((await connection.execute(_NEIGHBOURS, seeds)).scalars())
        tasks = tasks.where(t.tasks.c.number == any_(array(near, type_=Integer)))
        needs = needs.where(t.dependencies.c.number == any_(array(near, type_=Integer)))
    known: dict[int, int] = dict((await connection.execute(tasks)).all())
    graph: dict[int, list[int]] = {number: [] for number in known}
    for number, reference in await connection.execute(needs):
        if number in graph:
            graph[number].append(int(reference[1:]))
    news = [{"at": number, "now": length} for number, length in chain_lengths(graph).items() if known[number] != length]
    if news:
        one = (t.tasks.c.repository_id == repository_id, t.tasks.c.number == bindparam("at"))
        await connection.execute(update(t.tasks).where(*one).values(behind=bindparam("now")), news)
