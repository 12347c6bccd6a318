"""What a task's readiness rests on: its dependencies, here and next door, the agents' capabilities, and its twins."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import dependency_graph, task_queue
from adapters.database.dependency_graph import ReferenceResolver, TaskKey
from adapters.database.repositories import RepositoryRow
from core.assignment.queue import Graph, strongly_connected_component
from core.intake.readiness import ReadinessInputs
from core.signals.base import IssueSeen
from core.task.dependencies import Dependency, Source, changed_natively, standing
from core.task.model import Task


async def surroundings(
    connection: AsyncConnection,
    home: RepositoryRow,
    number: int,
    news: IssueSeen | Task | None,
    capabilities: Collection[str],
    stored: Mapping[str, Dependency],
    named: Collection[str] = (),
) -> ReadinessInputs:
    """Around the task as the news of its issue has it, or as it is (None: there is no such task).

    `stored` is what it depends on, as last gathered. `named` are references of issues that a command speaks of: their
    ways are looked at as well.
    """
    needs: Mapping[str, Dependency] = stored
    if isinstance(news, IssueSeen):
        needs = standing(news.dependencies, stored)
        fingerprint: str | None = news.issue.fingerprint
    else:
        fingerprint = news.fingerprint if news else None
    me = f"#{number}"
    ways: Graph[str] = {me: ()}
    finished: dict[str, bool] = {}
    twins = await dependency_graph.older_duplicates(connection, home.id, number, fingerprint) if fingerprint else []
    looked_at = {**{reference: Dependency(False) for reference in (*named, *(f"#{twin}" for twin in twins))}, **needs}
    if looked_at:
        neighbours = await ReferenceResolver.load(connection, home)
        ways = await dependency_graph.dependency_closure(connection, neighbours, number, looked_at)
        finished = await dependency_graph.load_finished(connection, neighbours, needs)
    return ReadinessInputs(
        capabilities=capabilities,
        graph=ways,
        # A task of ours says itself whether it is finished; of others we have what was gathered.
        dependencies={ref: finished.get(ref, needs[ref].finished) for ref in ways[me] if ref in needs},
        twins=tuple(twins),
        sources={reference: need.source for reference, need in needs.items()},
    )


async def take_dependencies(
    connection: AsyncConnection,
    home: RepositoryRow,
    number: int,
    stored: Mapping[str, Dependency],
    needs: Mapping[str, Dependency],
) -> frozenset[TaskKey]:
    """Keep what an issue depends on now instead of what is `stored`; gives those whose readiness may change by that.

    They were or are on a cycle with it, or GitHub's own relations turn a dependency of theirs around.
    """
    neighbours, me = await ReferenceResolver.load(connection, home), f"#{number}"
    was = strongly_connected_component(
        await dependency_graph.dependency_closure(connection, neighbours, number, stored), me
    )
    await dependency_graph.save_dependencies(connection, home.id, number, needs)
    here = [int(reference[1:]) for reference in {*stored, *needs} if reference.startswith("#")]
    await task_queue.update_depths(connection, home.id, [number, *here])
    now = strongly_connected_component(
        await dependency_graph.dependency_closure(connection, neighbours, number, needs), me
    )
    concerned = was | now | frozenset(changed_natively(stored, needs))
    return frozenset(place for reference in concerned if (place := neighbours.task_key(reference)) is not None)


async def hold_conflicts(
    connection: AsyncConnection, home: RepositoryRow, number: int, behind: Collection[str]
) -> frozenset[TaskKey]:
    """Whose readiness may be another because this task is queued behind these tasks now, or no longer is."""
    if not behind:
        return frozenset()
    neighbours = await ReferenceResolver.load(connection, home)
    needs = await dependency_graph.load_dependencies(connection, home.id, number)
    needs |= {reference: Dependency(False, Source.QUEUED_AFTER) for reference in behind}
    knot = strongly_connected_component(
        await dependency_graph.dependency_closure(connection, neighbours, number, needs), f"#{number}"
    )
    return frozenset(place for reference in knot if (place := neighbours.task_key(reference)) is not None)
