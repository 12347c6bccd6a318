"""What is kept of agents and of the circuits of their services, on a connection that the caller's transaction owns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from core.assignment.agent_state import AgentNews, AgentRecord, Turn
from core.circuit_breaker import Circuit

COOL = "cool"  # the deadline of an agent that has to be looked at again


def agent_subject(name: str) -> str:
    """The subject of an agent's deadlines."""
    return f"agent:{name}"


# How many tasks each agent is at work on, reviews among them.
_AT_WORK = """
    SELECT agent, count(*) AS tasks FROM (
        SELECT CASE status WHEN 'in-progress' THEN agent ELSE state->'review'->>'agent' END AS agent
        FROM tasks WHERE repository_id = :repository AND status IN ('in-progress', 'review')
    ) AS holders WHERE agent IS NOT NULL GROUP BY agent
"""
_HOLDINGS = text(_AT_WORK)
# Read in one statement, because each assignment begins with it.
_TEAM = text(
    f"""
    SELECT
        (SELECT jsonb_object_agg(agent, tasks) FROM ({_AT_WORK}) AS held) AS holding,
        (SELECT jsonb_agg(to_jsonb(a)) FROM agents AS a WHERE a.repository_id = :repository) AS records,
        (SELECT jsonb_agg(to_jsonb(c)) FROM circuits AS c) AS circuits
    """  # noqa: S608 - of constants alone
)
_CIRCUITS = select(t.circuits)


@dataclass(frozen=True, slots=True)
class TeamState:
    """What is kept of the agents of a repository, each by name, and of the circuits of all services."""

    holding: dict[str, int]
    records: dict[str, AgentRecord]
    circuits: dict[str, Circuit]


async def team_state(connection: AsyncConnection, repository_id: int) -> TeamState:
    """How many tasks each agent has in hand, what is kept of it, and the circuits that are not as good as new."""
    row = (await connection.execute(_TEAM, {"repository": repository_id})).one()
    return TeamState(
        holding=row.holding or {},
        records={one["name"]: _record(one) for one in row.records or ()},
        circuits={one["name"]: _circuit({**one, **_moments(one, _CIRCUIT_MOMENTS)}) for one in row.circuits or ()},
    )


async def holdings(connection: AsyncConnection, repository_id: int) -> dict[str, int]:
    """How many tasks each agent is at work on, reviews among them."""
    return dict((await connection.execute(_HOLDINGS, {"repository": repository_id})).all())


_CIRCUIT_MOMENTS = ("failed_at", "open_until", "probe_at")


def _moments(row: Mapping[str, Any], names: Collection[str]) -> dict[str, datetime | None]:
    return {name: datetime.fromisoformat(row[name]) if row[name] else None for name in names}


def _record(row: Mapping[str, Any]) -> AgentRecord:
    moments = _moments(row, ("seen_at", "failed_at", "cooling_until"))
    return AgentRecord(
        **moments,
        failed_reason=row["failed_reason"] or "",
        failures=row["failures"],
        cooling_reason=row["cooling_reason"] or "",
        assigned=row["assigned"],
    )


def _circuit(row: Mapping[str, Any]) -> Circuit:
    return Circuit(**{**row, "reason": row["reason"] or ""})


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
    return {row["name"]: _circuit(dict(row)) for row in (await connection.execute(_CIRCUITS)).mappings()}


async def circuit(connection: AsyncConnection, name: str) -> Circuit:
    """One circuit, ours until the transaction ends if it is kept already."""
    query = select(t.circuits).where(t.circuits.c.name == name).with_for_update()
    row = (await connection.execute(query)).mappings().first()
    return _circuit(dict(row)) if row else Circuit(name)


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
