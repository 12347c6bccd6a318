"""Who waits for whom, and who asks for the same: queries across tasks, some of them across repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, delete, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.repositories import RepositoryRow
from core.assignment.queue import Graph
from core.task.dependencies import Need, Source, counting
from core.task.model import Status

_behind = t.tasks.c.state["held"]["behind"].as_string().label("reference")  # the task behind which one is queued
_held_by = t.tasks.c.state["held"]["by"].as_string()  # empty: ourselves, by forecast
OPEN = [s.value for s in Status if s is not Status.DONE]
Place = tuple[int, int]  # the id of a repository, and a number in it


class Neighbours:
    """The repositories of one installation that we know, and how they speak of each other's issues."""

    def __init__(self, home: RepositoryRow, others: Mapping[int, str]) -> None:
        """`others` are the names by id of the repositories beside `home`."""
        self.home = home
        self.names = {**others, home.id: home.full_name}
        self._ids = {name.casefold(): id_ for id_, name in self.names.items()}

    @classmethod
    async def of(cls, connection: AsyncConnection, home: RepositoryRow) -> Neighbours:
        """Those of `home`."""
        query = select(t.repositories.c.id, t.repositories.c.full_name).where(
            t.repositories.c.installation_id == home.installation_id, t.repositories.c.active
        )
        return cls(home, dict((await connection.execute(query)).all()))

    def place(self, reference: str) -> Place | None:
        """Where the issue of a reference is, seen from home; None in a repository that we do not know."""
        name, _, number = reference.rpartition("#")
        id_ = self._ids.get(name.casefold()) if name else self.home.id
        return (id_, int(number)) if id_ is not None else None

    def reference(self, place: Place, reference: str | None = None) -> str:
        """How home writes an issue: the one at `place`, or the one that `place` calls `reference`."""
        name, _, number = reference.rpartition("#") if reference is not None else ("", "", str(place[1]))
        id_ = self._ids.get(name.casefold()) if name else place[0]
        if id_ == self.home.id:
            return f"#{number}"
        return f"{name if id_ is None else self.names[id_]}#{number}"  # as GitHub spells it, where we know


async def open_graph(connection: AsyncConnection, repository_id: int) -> Graph[int]:
    """Every task of the repository that is not done, with the tasks of the same repository it depends on."""
    numbers = (
        await connection.execute(
            select(t.tasks.c.number).where(
                t.tasks.c.repository_id == repository_id,
                t.tasks.c.status.in_(OPEN),
                t.tasks.c.withdrawn.is_(False),
            )
        )
    ).scalars()
    graph: dict[int, list[int]] = {number: [] for number in numbers}
    rows = await connection.execute(
        select(t.dependencies.c.number, t.dependencies.c.reference).where(
            t.dependencies.c.repository_id == repository_id,
            t.dependencies.c.reference.startswith("#"),
            t.dependencies.c.source != Source.LIFTED.value,
        )
    )
    for number, reference in rows:
        if number in graph:
            graph[number].append(int(reference[1:]))
    return {number: tuple(needs) for number, needs in graph.items()}


async def ahead(
    connection: AsyncConnection, neighbours: Neighbours, number: int, needs: Mapping[str, Need]
) -> Graph[str]:
    """What can be reached from a task that has these `needs`, as home writes it, and with what counts alone.

    Those that somebody queued behind another task wait for that one as well.

    One query for each step of the longest way, and none for a task without dependencies.
    """
    sources: dict[str, dict[str, Source]] = {f"#{number}": {ref: need.source for ref, need in needs.items()}}
    frontier = list(needs)
    while frontier:
        places = {
            place: node for node in frontier if node not in sources and (place := neighbours.place(node)) is not None
        }
        sources |= {node: {} for node in frontier if node not in sources}
        frontier = []
        for place, reference, source in await _needs_of_open(connection, places):
            needed = neighbours.reference(place, reference)
            sources[places[place]][needed] = Source(source)
            frontier.append(needed)
    return counting(sources)


async def _needs_of_open(connection: AsyncConnection, places: Iterable[Place]) -> list[tuple[Place, str, str]]:
    wanted = list(places)
    if not wanted:
        return []
    d, tasks = t.dependencies, t.tasks
    same = (tasks.c.repository_id == d.c.repository_id) & (tasks.c.number == d.c.number)
    at_work = (
        tuple_(tasks.c.repository_id, tasks.c.number).in_(wanted),
        tasks.c.status.in_(OPEN),
        tasks.c.withdrawn.is_(False),
    )
    needed = select(d.c.repository_id, d.c.number, d.c.reference, d.c.source).join(tasks, same).where(*at_work)
    # What we hold by forecast goes on when the other stops for whatever reason, so it can be part of no cycle.
    queued = select(tasks.c.repository_id, tasks.c.number, _behind, literal(Source.BEHIND.value)).where(
        *at_work, _behind != "", _held_by != ""
    )
    rows = await connection.execute(needed.union_all(queued).order_by("reference"))
    return [((repository_id, number), reference, source) for repository_id, number, reference, source in rows]


async def finished_tasks(
    connection: AsyncConnection, neighbours: Neighbours, references: Iterable[str]
) -> dict[str, bool]:
    """For those of `references` that are tasks of ours, here or next door: whether they are finished."""
    places = {place: ref for ref in references if (place := neighbours.place(ref)) is not None}
    if not places:
        return {}
    rows = await connection.execute(
        select(
            t.tasks.c.repository_id,
            t.tasks.c.number,
            t.tasks.c.status,
            t.tasks.c.withdrawn,
            t.tasks.c.state["issue_open"].as_boolean(),
        ).where(tuple_(t.tasks.c.repository_id, t.tasks.c.number).in_(list(places)))
    )
    return {
        places[repository_id, number]: not issue_open if withdrawn else status == Status.DONE
        for repository_id, number, status, withdrawn, issue_open in rows
    }


async def stored_dependencies(connection: AsyncConnection, repository_id: int, number: int) -> dict[str, Need]:
    """What a task depends on, as last gathered."""
    rows = await connection.execute(
        select(t.dependencies.c.reference, t.dependencies.c.finished, t.dependencies.c.source).where(
            t.dependencies.c.repository_id == repository_id, t.dependencies.c.number == number
        )
    )
    return {reference: Need(finished, Source(source)) for reference, finished, source in rows}


async def needs_of(
    connection: AsyncConnection, repository_id: int, numbers: Iterable[int]
) -> dict[int, dict[str, Need]]:
    """What these tasks depend on, as last gathered; none of those that depend on nothing."""
    d = t.dependencies.c
    query = select(d.number, d.reference, d.finished, d.source).where(
        d.repository_id == repository_id, d.number.in_(list(numbers))
    )
    found: dict[int, dict[str, Need]] = {}
    for number, reference, finished, source in await connection.execute(query):
        found.setdefault(number, {})[reference] = Need(finished, Source(source))
    return found


async def save_dependencies(
    connection: AsyncConnection, repository_id: int, number: int, needs: Mapping[str, Need]
) -> None:
    """A task depends on exactly these."""
    where = (t.dependencies.c.repository_id == repository_id, t.dependencies.c.number == number)
    await connection.execute(delete(t.dependencies).where(*where))
    if needs:
        await connection.execute(
            t.dependencies.insert(),
            [
                {
                    "repository_id": repository_id,
                    "number": number,
                    "reference": ref,
                    "finished": need.finished,
                    "source": need.source.value,
                }
                for ref, need in needs.items()
            ],
        )


async def dependents(connection: AsyncConnection, home: RepositoryRow, number: int) -> list[Place]:
    """The tasks that name this one as a dependency, here and in the neighbouring repositories."""
    rows = await connection.execute(select(*_PLACE).where(_names(home, number)))
    return sorted((repository_id, one) for repository_id, one in rows)


async def note_dependency(connection: AsyncConnection, home: RepositoryRow, number: int, finished: bool) -> list[Place]:
    """A dependency that is no task of ours was closed or reopened; gives the tasks that name it."""
    query = update(t.dependencies).where(_names(home, number)).values(finished=finished).returning(*_PLACE)
    return sorted((repository_id, one) for repository_id, one in await connection.execute(query))


async def queued_behind(connection: AsyncConnection, repository_id: int, number: int) -> list[int]:
    """The tasks that somebody queued behind this one."""
    query = select(t.tasks.c.number).where(
        t.tasks.c.repository_id == repository_id, t.tasks.c.status.in_(OPEN), _behind == f"#{number}"
    )
    return sorted((await connection.execute(query)).scalars())


_PLACE = (t.dependencies.c.repository_id, t.dependencies.c.number)


def _names(home: RepositoryRow, number: int) -> ColumnElement[bool]:
    """The dependencies that mean this issue of `home`; other repositories' names are kept as GitHub spells them."""
    next_door = select(t.repositories.c.id).where(
        t.repositories.c.installation_id == home.installation_id, t.repositories.c.active
    )
    here = (t.dependencies.c.repository_id == home.id) & (t.dependencies.c.reference == f"#{number}")
    there = t.dependencies.c.repository_id.in_(next_door) & (t.dependencies.c.reference == f"{home.full_name}#{number}")
    return here | there


async def older_twins(connection: AsyncConnection, repository_id: int, number: int, fingerprint: str) -> list[int]:
    """Open tasks with the same fingerprint and a smaller number."""
    return await _twins(connection, repository_id, fingerprint, t.tasks.c.number < number)


async def younger_twins(connection: AsyncConnection, repository_id: int, number: int, fingerprint: str) -> list[int]:
    """Open tasks with the same fingerprint and a larger number."""
    return await _twins(connection, repository_id, fingerprint, t.tasks.c.number > number)


async def _twins(
    connection: AsyncConnection, repository_id: int, fingerprint: str, which: ColumnElement[bool]
) -> list[int]:
    rows = await connection.execute(
        select(t.tasks.c.number)
        .where(
            t.tasks.c.repository_id == repository_id,
            t.tasks.c.fingerprint == fingerprint,
            which,
            t.tasks.c.withdrawn.is_(False),
            t.tasks.c.status.not_in([Status.DONE.value, Status.FAILED.value]),
        )
        .order_by(t.tasks.c.number)
    )
    return list(rows.scalars())
