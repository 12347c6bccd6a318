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
from core.assignment.agent_state import AgentRecord, AgentStateChange, StateChangeKind
from core.circuit_breaker import CircuitBreaker
from core.task.deadlines import DeadlineTarget, TargetKind

AGENT_BACKOFF = "cool"  # the deadline of an agent that has to be looked at again


def agent_target(name: str) -> DeadlineTarget:
    """The target of an agent's deadlines."""
    return DeadlineTarget(TargetKind.AGENT, name)


# How many tasks each agent is at work on, reviews among them.
_TASK_COUNTS_SQL = """
    SELECT agent, count(*) AS tasks FROM (
        SELECT CASE status WHEN 'in-progress' THEN agent ELSE state->'review'->>'agent' END AS agent
        FROM tasks WHERE repository_id = :repository AND status IN ('in-progress', 'review')
    ) AS holders WHERE agent IS NOT NULL GROUP BY agent
"""
_TASK_COUNTS = text(_TASK_COUNTS_SQL)
# Read in one statement, because each assignment begins with it.
_TEAM = text(
    f"""
    SELECT
        (SELECT jsonb_object_agg(agent, tasks) FROM ({_TASK_COUNTS_SQL}) AS held) AS holding,
        (SELECT jsonb_agg(to_jsonb(a)) FROM agents AS a WHERE a.repository_id = :repository) AS records,
        (SELECT jsonb_agg(to_jsonb(c)) FROM circuit_breakers AS c) AS circuits
    """  # noqa: S608 - of constants alone
)
_CIRCUITS = select(t.circuit_breakers)


@dataclass(frozen=True, slots=True)
class TeamState:
    """What is kept of the agents of a repository, each by name, and of the circuits of all services."""

    task_counts: dict[str, int]
    records: dict[str, AgentRecord]
    circuits: dict[str, CircuitBreaker]


async def load_team_state(connection: AsyncConnection, repository_id: int) -> TeamState:
    """How many tasks each agent has in hand, what is kept of it, and the circuits that are not as good as new."""
    row = (await connection.execute(_TEAM, {"repository": repository_id})).one()
    return TeamState(
        task_counts=row.holding or {},
        records={item["name"]: _record_from_row(item) for item in row.records or ()},
        circuits={
            item["name"]: _circuit_from_row({**item, **_timestamps(item, _CIRCUIT_TIMESTAMPS)})
            for item in row.circuits or ()
        },
    )


async def count_active_tasks(connection: AsyncConnection, repository_id: int) -> dict[str, int]:
    """How many tasks each agent is at work on, reviews among them."""
    return dict((await connection.execute(_TASK_COUNTS, {"repository": repository_id})).all())


_CIRCUIT_TIMESTAMPS = ("failed_at", "open_until", "probe_at")


def _timestamps(row: Mapping[str, Any], names: Collection[str]) -> dict[str, datetime | None]:
    return {name: datetime.fromisoformat(row[name]) if row[name] else None for name in names}


def _record_from_row(row: Mapping[str, Any]) -> AgentRecord:
    timestamps = _timestamps(row, ("seen_at", "last_failure_at", "backoff_until"))
    return AgentRecord(
        **timestamps,
        last_failure_reason=row["last_failure_reason"] or "",
        failures=row["failures"],
        backoff_reason=row["backoff_reason"] or "",
        total_assigned=row["assigned"],
    )


def _circuit_from_row(row: Mapping[str, Any]) -> CircuitBreaker:
    return CircuitBreaker(**{**row, "reason": row["reason"] or ""})


async def save_state_change(connection: AsyncConnection, repository_id: int, change: AgentStateChange) -> None:
    """Keep news of an agent."""
    values: dict[str, Any]
    match change.kind:
        case StateChangeKind.SEEN:
            values = {"seen_at": change.occurred_at}
        case StateChangeKind.DELIVERED:
            values = {"seen_at": change.occurred_at, "failures": 0}
        case StateChangeKind.FAILED:
            values = {"last_failure_at": change.occurred_at, "last_failure_reason": change.reason, "failures": 1}
        case StateChangeKind.BACKING_OFF:
            values = {"backoff_until": change.until, "backoff_reason": change.reason}
        case StateChangeKind.RESUMED:
            values = dict.fromkeys(("last_failure_at", "last_failure_reason", "backoff_until", "backoff_reason"))
            values["failures"] = 0
    statement = insert(t.agents).values(repository_id=repository_id, name=change.agent, **values)
    if change.kind is StateChangeKind.FAILED:
        values = {**values, "failures": t.agents.c.failures + 1}
    await connection.execute(statement.on_conflict_do_update(index_elements=["repository_id", "name"], set_=values))


async def load_circuits(connection: AsyncConnection) -> dict[str, CircuitBreaker]:
    """The circuits that are not as good as new, by name."""
    return {row["name"]: _circuit_from_row(dict(row)) for row in (await connection.execute(_CIRCUITS)).mappings()}


async def lock_circuit(connection: AsyncConnection, name: str) -> CircuitBreaker:
    """One circuit, ours until the transaction ends if it is kept already."""
    query = select(t.circuit_breakers).where(t.circuit_breakers.c.name == name).with_for_update()
    row = (await connection.execute(query)).mappings().first()
    return _circuit_from_row(dict(row)) if row else CircuitBreaker(name)


async def save_circuit(connection: AsyncConnection, circuit: CircuitBreaker) -> None:
    """Keep a circuit; one that is as good as new needs no row."""
    if circuit == CircuitBreaker(circuit.name):
        await connection.execute(delete(t.circuit_breakers).where(t.circuit_breakers.c.name == circuit.name))
        return
    values = {
        "failures": circuit.failures,
        "failed_at": circuit.failed_at,
        "open_until": circuit.open_until,
        "probe_at": circuit.probe_at,
        "reason": circuit.reason,
    }
    statement = insert(t.circuit_breakers).values(name=circuit.name, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
