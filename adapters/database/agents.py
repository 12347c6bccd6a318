"""What is kept of agents and of the circuits of their services, on a connection that the caller's transaction owns."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from core.agent_state import AgentNews, AgentRecord, Turn
from core.circuit import Circuit

COOL = "cool"  # the deadline of an agent that has to be looked at again


def agent_subject(name: str) -> str:
    """The subject of an agent's deadlines."""
    return f"agent:{name}"


# Read with nearly every signal, so they are built only once.
_OF_REPOSITORY = select(t.agents).where(t.agents.c.repository_id == bindparam("repository"))
_CIRCUITS = select(t.circuits)


async def records(connection: AsyncConnection, repository_id: int) -> dict[str, AgentRecord]:
    """What is kept of each agent of a repository, by name."""
    return {
        row["name"]: AgentRecord(
            seen_at=row["seen_at"],
            failed_at=row["failed_at"],
            failed_reason=row["failed_reason"] or "",
            failures=row["failures"],
            cooling_until=row["cooling_until"],
            cooling_reason=row["cooling_reason"] or "",
            assigned=row["assigned"],
        )
        for row in (await connection.execute(_OF_REPOSITORY, {"repository": repository_id})).mappings()
    }


async def note(connection: AsyncConnection, repository_id: int, news: AgentNews) -> None:
    """Keep news of an agent."""
    values: dict[str, Any]
    match news.turn:
        case Turn.SEEN:
            values = {"seen_at": news.at}
        case Turn.DELIVERED:
            values = {"seen_at": news.at, "failures": 0}
        case Turn.FAILED:
            values = {"failed_at": news.at, "failed_reason": news.reason, "failures": 1}
        case Turn.COOLING:
            values = {"cooling_until": news.until, "cooling_reason": news.reason}
        case Turn.RESUMED:
            values = dict.fromkeys(("failed_at", "failed_reason", "cooling_until", "cooling_reason"))
            values["failures"] = 0
    statement = insert(t.agents).values(repository_id=repository_id, name=news.agent, **values)
    if news.turn is Turn.FAILED:
        values = {**values, "failures": t.agents.c.failures + 1}
    await connection.execute(statement.on_conflict_do_update(index_elements=["repository_id", "name"], set_=values))


async def circuits(connection: AsyncConnection) -> dict[str, Circuit]:
    """The circuits that are not as good as new, by name."""
    return {
        row["name"]: Circuit(**{**row, "reason": row["reason"] or ""})
        for row in (await connection.execute(_CIRCUITS)).mappings()
    }


async def circuit(connection: AsyncConnection, name: str) -> Circuit:
    """One circuit, ours until the transaction ends if it is kept already."""
    query = select(t.circuits).where(t.circuits.c.name == name).with_for_update()
    row = (await connection.execute(query)).mappings().first()
    return Circuit(**{**row, "reason": row["reason"] or ""}) if row else Circuit(name)


async def save_circuit(connection: AsyncConnection, circuit: Circuit) -> None:
    """Keep a circuit; one that is as good as new needs no row."""
    if circuit == Circuit(circuit.name):
        await connection.execute(delete(t.circuits).where(t.circuits.c.name == circuit.name))
        return
    values = {
        "failures": circuit.failures,
        "failed_at": circuit.failed_at,
        "open_until": circuit.open_until,
        "probe_at": circuit.probe_at,
        "reason": circuit.reason,
    }
    statement = insert(t.circuits).values(name=circuit.name, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
