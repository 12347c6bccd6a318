"""Who waits for whom, and who asks for the same: queries across tasks, some of them across repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, delete, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.repositories import RepositoryRow
from adapters.database.task_state import task_field
from core.assignment.queue import Graph
from core.task.dependencies import Dependency, Source, effective_graph
from core.task.model import Status

_queued_after = task_field("hold", "blocker").as_string().label("reference")  # the task behind which one is queued
_held_by = task_field("hold", "held_by").as_string()  # empty: ourselves, by forecast
OPEN_STATUSES = [s.value for s in Status if s is not Status.DONE]
TaskKey = tuple[int, int]  # the id of a repository, and a number in it


class ReferenceResolver:
    """The repositories of one installation that we know, and how they speak of each other's issues."""

    def __init__(self, repository: RepositoryRow, other_names: Mapping[int, str]) -> None:
        """`others` are the names by id of the repositories beside `home`."""
        self.repository = repository
        self.names = {**other_names, repository.id: repository.full_name}
        self._ids = {name.casefold(): id_ for id_, name in self.names.items()}

    @classmethod
    async def load(cls, connection: AsyncConnection, repository: RepositoryRow) -> ReferenceResolver:
        """Those of `home`."""
        query = select(t.repositories.c.id, t.repositories.c.full_name).where(
            t.repositories.c.installation_id == repository.installation_id, t.repositories.c.active
        )
        return cls(repository, dict((await connection.execute(query)).all()))

    def task_key(self, reference: str) -> TaskKey | None:
        """Where the issue of a reference is, seen from home; None in a repository that we do not know."""
        name, _, number = reference.rpartition("#")
        id_ = self._ids.get(name.casefold()) if name else self.repository.id
        return (id_, int(number)) if id_ is not None else None

    def reference(self, key: TaskKey, reference: str | None = None) -> str:
        """How home writes an issue: the one at `place`, or the one that `place` calls `reference`."""
        name, _, number = reference.rpartition("#") if reference is not None else ("", "", str(key[1]))
        id_ = self._ids.get(name.casefold()) if name else key[0]
        if id_ == self.repository.id:
            return f"#{number}"
        return f"{name if id_ is None else self.names[id_]}#{number}"  # as GitHub spells it, where we know


async def load_open_graph(connection: AsyncConnection, repository_id: int) -> Graph[int]:
    """Every task of the repository that is not done, with the tasks of the same repository it depends on."""
    numbers = (
        await connection.execute(
            select(t.tasks.c.number).where(
                t.tasks.c.repository_id == repository_id,
                t.tasks.c.status.in_(OPEN_STATUSES),
                t.tasks.c.untracked.is_(False),
            )
        )
    ).scalars()
    graph: dict[int, list[int]] = {number: [] for number in numbers}
    rows = await connection.execute(
        select(t.dependencies.c.number, t.dependencies.c.reference).where(
            t.dependencies.c.repository_id == repository_id,
            t.dependencies.c.reference.startswith("#"),
            t.dependencies.c.source != Source.REMOVED.value,
        )
    )
    for number, reference in rows:
        if number in graph:
            graph[number].append(int(reference[1:]))
    return {number: tuple(dependencies) for number, dependencies in graph.items()}


async def dependency_closure(
    connection: AsyncConnection, resolver: ReferenceResolver, number: int, dependencies: Mapping[str, Dependency]
) -> Graph[str]:
    """What can be reached from a task that has these `needs`, as home writes it, and with what counts alone.

    Tasks that a user queued behind another task wait for that one as well.

    One query for each step of the longest way, and none for a task without dependencies.
    """
    sources: dict[str, dict[str, Source]] = {
        f"#{number}": {ref: dependency.source for ref, dependency in dependencies.items()}
    }
    frontier = list(dependencies)
    while frontier:
        nodes_by_key = {
            key: node for node in frontier if node not in sources and (key := resolver.task_key(node)) is not None
        }
        sources |= {node: {} for node in frontier if node not in sources}
        frontier = []
        for key, reference, source in await _open_dependencies(connection, nodes_by_key):
            target = resolver.reference(key, reference)
            sources[nodes_by_key[key]][target] = Source(source)
            frontier.append(target)
    return effective_graph(sources)


async def _open_dependencies(connection: AsyncConnection, keys: Iterable[TaskKey]) -> list[tuple[TaskKey, str, str]]:
    key_list = list(keys)
    if not key_list:
        return []
    d, tasks = t.dependencies, t.tasks
    join_condition = (tasks.c.repository_id == d.c.repository_id) & (tasks.c.number == d.c.number)
    conditions = (
        tuple_(tasks.c.repository_id, tasks.c.number).in_(key_list),
        tasks.c.status.in_(OPEN_STATUSES),
        tasks.c.untracked.is_(False),
    )
    declared = (
        select(d.c.repository_id, d.c.number, d.c.reference, d.c.source).join(tasks, join_condition).where(*conditions)
    )
    # What we hold by forecast goes on when the other stops for whatever reason, so it can be part of no cycle.
    queued = select(tasks.c.repository_id, tasks.c.number, _queued_after, literal(Source.QUEUED_AFTER.value)).where(
        *conditions, _queued_after != "", _held_by != ""
    )
    rows = await connection.execute(declared.union_all(queued).order_by("reference"))
    return [((repository_id, number), reference, source) for repository_id, number, reference, source in rows]


async def load_finished(
    connection: AsyncConnection, resolver: ReferenceResolver, references: Iterable[str]
) -> dict[str, bool]:
    """For those of `references` that are tasks of ours, here or next door: whether they are finished."""
    references_by_key = {key: ref for ref in references if (key := resolver.task_key(ref)) is not None}
    if not references_by_key:
        return {}
    rows = await connection.execute(
        select(
            t.tasks.c.repository_id,
            t.tasks.c.number,
            t.tasks.c.status,
            t.tasks.c.untracked,
            task_field("issue_open").as_boolean(),
        ).where(tuple_(t.tasks.c.repository_id, t.tasks.c.number).in_(list(references_by_key)))
    )
    return {
        references_by_key[repository_id, number]: not issue_open if withdrawn else status == Status.DONE
        for repository_id, number, status, withdrawn, issue_open in rows
    }


async def load_dependencies(connection: AsyncConnection, repository_id: int, number: int) -> dict[str, Dependency]:
    """What a task depends on, as last gathered."""
    rows = await connection.execute(
        select(t.dependencies.c.reference, t.dependencies.c.finished, t.dependencies.c.source).where(
            t.dependencies.c.repository_id == repository_id, t.dependencies.c.number == number
        )
    )
    return {reference: Dependency(finished, Source(source)) for reference, finished, source in rows}


async def dependencies_by_task(
    connection: AsyncConnection, repository_id: int, numbers: Iterable[int]
) -> dict[int, dict[str, Dependency]]:
    """What these tasks depend on, as last gathered; none of those that depend on nothing."""
    d = t.dependencies.c
    query = select(d.number, d.reference, d.finished, d.source).where(
        d.repository_id == repository_id, d.number.in_(list(numbers))
    )
    by_task: dict[int, dict[str, Dependency]] = {}
    for number, reference, finished, source in await connection.execute(query):
        by_task.setdefault(number, {})[reference] = Dependency(finished, Source(source))
    return by_task


async def save_dependencies(
    connection: AsyncConnection, repository_id: int, number: int, dependencies: Mapping[str, Dependency]
) -> None:
    """A task depends on exactly these."""
    where = (t.dependencies.c.repository_id == repository_id, t.dependencies.c.number == number)
    await connection.execute(delete(t.dependencies).where(*where))
    if dependencies:
        await connection.execute(
            t.dependencies.insert(),
            [
                {
                    "repository_id": repository_id,
                    "number": number,
                    "reference": ref,
                    "finished": dependency.finished,
                    "source": dependency.source.value,
                }
                for ref, dependency in dependencies.items()
            ],
        )


async def list_dependents(connection: AsyncConnection, repository: RepositoryRow, number: int) -> list[TaskKey]:
    """The tasks that name this one as a dependency, here and in the neighbouring repositories."""
    rows = await connection.execute(select(*_KEY_COLUMNS).where(_refers_to(repository, number)))
    return sorted((repository_id, task_number) for repository_id, task_number in rows)


async def update_dependency(
    connection: AsyncConnection, repository: RepositoryRow, number: int, finished: bool
) -> list[TaskKey]:
    """A dependency that is no task of ours was closed or reopened; gives the tasks that name it."""
    query = (
        update(t.dependencies).where(_refers_to(repository, number)).values(finished=finished).returning(*_KEY_COLUMNS)
    )
    return sorted((repository_id, task_number) for repository_id, task_number in await connection.execute(query))


async def tasks_queued_after(connection: AsyncConnection, repository_id: int, number: int) -> list[int]:
    """The tasks that a user queued behind this one."""
    query = select(t.tasks.c.number).where(
        t.tasks.c.repository_id == repository_id, t.tasks.c.status.in_(OPEN_STATUSES), _queued_after == f"#{number}"
    )
    return sorted((await connection.execute(query)).scalars())


_KEY_COLUMNS = (t.dependencies.c.repository_id, t.dependencies.c.number)


def _refers_to(repository: RepositoryRow, number: int) -> ColumnElement[bool]:
    """The dependencies that mean this issue of `home`; other repositories' names are kept as GitHub spells them."""
    installation_repositories = select(t.repositories.c.id).where(
        t.repositories.c.installation_id == repository.installation_id, t.repositories.c.active
    )
    same_repository = (t.dependencies.c.repository_id == repository.id) & (t.dependencies.c.reference == f"#{number}")
    other_repositories = t.dependencies.c.repository_id.in_(installation_repositories) & (
        t.dependencies.c.reference == f"{repository.full_name}#{number}"
    )
    return same_repository | other_repositories


async def older_duplicates(connection: AsyncConnection, repository_id: int, number: int, fingerprint: str) -> list[int]:
    """Open tasks with the same fingerprint and a smaller number."""
    return await _duplicates(connection, repository_id, fingerprint, t.tasks.c.number < number)


async def newer_duplicates(connection: AsyncConnection, repository_id: int, number: int, fingerprint: str) -> list[int]:
    """Open tasks with the same fingerprint and a larger number."""
    return await _duplicates(connection, repository_id, fingerprint, t.tasks.c.number > number)


async def _duplicates(
    connection: AsyncConnection, repository_id: int, fingerprint: str, condition: ColumnElement[bool]
) -> list[int]:
    rows = await connection.execute(
        select(t.tasks.c.number)
        .where(
            t.tasks.c.repository_id == repository_id,
            t.tasks.c.fingerprint == fingerprint,
            condition,
            t.tasks.c.untracked.is_(False),
            t.tasks.c.status.not_in([Status.DONE.value, Status.FAILED.value]),
        )
        .order_by(t.tasks.c.number)
    )
    return list(rows.scalars())
