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
from core.task.dependencies import Dependency, Source, merge_dependencies, native_changes
from core.task.model import Task


async def load_readiness_inputs(
    connection: AsyncConnection,
    repository: RepositoryRow,
    number: int,
    source: IssueSeen | Task | None,
    capabilities: Collection[str],
    existing: Mapping[str, Dependency],
    references: Collection[str] = (),
) -> ReadinessInputs:
    """Around the task as the news of its issue has it, or as it is (None: there is no such task).

    `stored` is what it depends on, as last gathered. `named` are references of issues that a command speaks of: their
    ways are looked at as well.
    """
    dependencies: Mapping[str, Dependency] = existing
    if isinstance(source, IssueSeen):
        dependencies = merge_dependencies(source.dependencies, existing)
        fingerprint: str | None = source.issue.fingerprint
    else:
        fingerprint = source.fingerprint if source else None
    own_reference = f"#{number}"
    edges: Graph[str] = {own_reference: ()}
    finished: dict[str, bool] = {}
    duplicates = (
        await dependency_graph.older_duplicates(connection, repository.id, number, fingerprint) if fingerprint else []
    )
    targets = {
        **{reference: Dependency(False) for reference in (*references, *(f"#{duplicate}" for duplicate in duplicates))},
        **dependencies,
    }
    if targets:
        resolver = await ReferenceResolver.load(connection, repository)
        edges = await dependency_graph.dependency_closure(connection, resolver, number, targets)
        finished = await dependency_graph.load_finished(connection, resolver, dependencies)
    return ReadinessInputs(
        capabilities=capabilities,
        graph=edges,
        # A task of ours says itself whether it is finished; of others we have what was gathered.
        dependencies={
            ref: finished.get(ref, dependencies[ref].finished) for ref in edges[own_reference] if ref in dependencies
        },
        duplicates=tuple(duplicates),
        sources={reference: dependency.source for reference, dependency in dependencies.items()},
    )


async def save_dependencies(
    connection: AsyncConnection,
    repository: RepositoryRow,
    number: int,
    existing: Mapping[str, Dependency],
    dependencies: Mapping[str, Dependency],
) -> frozenset[TaskKey]:
    """Keep what an issue depends on now instead of what is `stored`; gives those whose readiness may change by that.

    They were or are on a cycle with it, or GitHub's own relations turn a dependency of theirs around.
    """
    resolver, own_reference = await ReferenceResolver.load(connection, repository), f"#{number}"
    previous_cycle = strongly_connected_component(
        await dependency_graph.dependency_closure(connection, resolver, number, existing), own_reference
    )
    await dependency_graph.save_dependencies(connection, repository.id, number, dependencies)
    local_numbers = [int(reference[1:]) for reference in {*existing, *dependencies} if reference.startswith("#")]
    await task_queue.update_depths(connection, repository.id, [number, *local_numbers])
    current_cycle = strongly_connected_component(
        await dependency_graph.dependency_closure(connection, resolver, number, dependencies), own_reference
    )
    affected = previous_cycle | current_cycle | frozenset(native_changes(existing, dependencies))
    return frozenset(key for reference in affected if (key := resolver.task_key(reference)) is not None)


async def hold_conflicts(
    connection: AsyncConnection, repository: RepositoryRow, number: int, blockers: Collection[str]
) -> frozenset[TaskKey]:
    """Whose readiness may be another because this task is queued behind these tasks now, or no longer is."""
    if not blockers:
        return frozenset()
    resolver = await ReferenceResolver.load(connection, repository)
    dependencies = await dependency_graph.load_dependencies(connection, repository.id, number)
    dependencies |= {reference: Dependency(False, Source.QUEUED_AFTER) for reference in blockers}
    cycle = strongly_connected_component(
        await dependency_graph.dependency_closure(connection, resolver, number, dependencies), f"#{number}"
    )
    return frozenset(key for reference in cycle if (key := resolver.task_key(reference)) is not None)
