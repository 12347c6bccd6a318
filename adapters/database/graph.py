"""Who waits for whom, and who asks for the same: queries across the tasks of a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from core.task import Status

OPEN = [s.value for s in Status if s is not Status.DONE]


async def open_graph(connection: AsyncConnection, repository_id: int) -> dict[int, tuple[int, ...]]:
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
            t.dependencies.c.repository_id == repository_id, t.dependencies.c.reference.startswith("#")
        )
    )
    for number, reference in rows:
        if number in graph:
            graph[number].append(int(reference[1:]))
    return {number: tuple(needs) for number, needs in graph.items()}


async def finished_tasks(connection: AsyncConnection, repository_id: int, numbers: Sequence[int]) -> dict[int, bool]:
    """For those of `numbers` that are tasks of ours: whether they are finished."""
    rows = await connection.execute(
        select(
            t.tasks.c.number,
            t.tasks.c.status,
            t.tasks.c.withdrawn,
            t.tasks.c.state["issue_open"].as_boolean(),
        ).where(t.tasks.c.repository_id == repository_id, t.tasks.c.number.in_(numbers))
    )
    return {
        number: not issue_open if withdrawn else status == Status.DONE for number, status, withdrawn, issue_open in rows
    }


async def stored_dependencies(connection: AsyncConnection, repository_id: int, number: int) -> dict[str, bool | None]:
    """What a task depends on, as last gathered."""
    rows = await connection.execute(
        select(t.dependencies.c.reference, t.dependencies.c.finished).where(
            t.dependencies.c.repository_id == repository_id, t.dependencies.c.number == number
        )
    )
    return dict(rows.all())


async def save_dependencies(
    connection: AsyncConnection, repository_id: int, number: int, references: Mapping[str, bool | None]
) -> None:
    """A task depends on exactly these."""
    where = (t.dependencies.c.repository_id == repository_id, t.dependencies.c.number == number)
    await connection.execute(delete(t.dependencies).where(*where))
    if references:
        await connection.execute(
            t.dependencies.insert(),
            [
                {"repository_id": repository_id, "number": number, "reference": ref, "finished": finished}
                for ref, finished in references.items()
            ],
        )


async def dependents(connection: AsyncConnection, repository_id: int, number: int) -> list[int]:
    """The tasks that name this one as a dependency."""
    rows = await connection.execute(
        select(t.dependencies.c.number)
        .where(t.dependencies.c.repository_id == repository_id, t.dependencies.c.reference == f"#{number}")
        .order_by(t.dependencies.c.number)
    )
    return list(rows.scalars())


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


async def note_dependency(connection: AsyncConnection, repository_id: int, reference: str, finished: bool) -> list[int]:
    """A dependency that is no task of ours was closed or reopened; gives the tasks that name it."""
    rows = await connection.execute(
        update(t.dependencies)
        .where(t.dependencies.c.repository_id == repository_id, t.dependencies.c.reference == reference)
        .values(finished=finished)
        .returning(t.dependencies.c.number)
    )
    return sorted(rows.scalars())
