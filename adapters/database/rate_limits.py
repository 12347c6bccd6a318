"""Loads and saves the budgets that are left of GitHub's limits: one row per credential, shared by all replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.database import Database
from core.effects.priority import SendPriority
from core.rate_limits import HOUR, MINUTE, Bucket, PrimaryLimit, RateLimitState, Window

_b = t.rate_limits.c
_SELECT = select(_b.version, _b.state).where(_b.credential == bindparam("which"))
# Only over what was read: a replica that was overtaken reads again, and none waits for a lock.
_UPDATE = (
    update(t.rate_limits)
    .where(_b.credential == bindparam("which"), _b.version == bindparam("seen"))
    .values(version=_b.version + 1, state=bindparam("to"))
    .returning(_b.version)
)
_INSERT = (
    insert(t.rate_limits)
    .values(credential=bindparam("which"), version=1, state=bindparam("to"))
    .on_conflict_do_nothing()
    .returning(_b.version)
)


async def load(connection: AsyncConnection, sender: str) -> tuple[int, RateLimitState]:
    """The budget of a sender (`installation:7`) and its version; 0 and a full one where there is none yet."""
    row = (await connection.execute(_SELECT, {"which": sender})).first()
    return (row.version, _from_json(row.state)) if row else (0, RateLimitState())


async def save(connection: AsyncConnection, sender: str, version: int, budget: RateLimitState) -> bool:
    """Keep it as the one after `version`, in one statement; false if another replica was quicker."""
    values = {"which": sender, "to": _to_json(budget)}
    statement = (_UPDATE, {**values, "seen": version}) if version else (_INSERT, values)
    return (await connection.execute(*statement)).first() is not None


@dataclass(frozen=True, slots=True)
class BudgetRows:
    """Loads and saves budgets over one connection."""

    _connection: AsyncConnection

    async def load(self, credential: str) -> tuple[int, RateLimitState]:
        """Return the budget of a credential and its version; see `load`."""
        return await load(self._connection, credential)

    async def save(self, credential: str, version: int, budget: RateLimitState) -> bool:
        """Save the budget that follows `version`; see `save`."""
        return await save(self._connection, credential, version, budget)


@dataclass(frozen=True, slots=True)
class DatabaseBudgetStore:
    """Gives the rate limiter access to the budgets."""

    _database: Database

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[BudgetRows]:
        """Open a connection for a few loads and saves, each of them committed at once."""
        async with self._database.autocommit() as connection:
            yield BudgetRows(connection)


async def load_all(connection: AsyncConnection) -> dict[str, RateLimitState]:
    """All budgets, by sender."""
    rows = await connection.execute(select(_b.credential, _b.state).order_by(_b.credential))
    return {row.credential: _from_json(row.state) for row in rows}


def _to_json(budget: RateLimitState) -> dict[str, Any]:
    return {
        "points": budget.points.spent,
        "content": budget.content.spent,
        "content_hour": budget.content_hour.spent,
        "full_at": budget.bucket.full_at,
        "blocked_until": budget.blocked_until,
        "primary": {resource: asdict(limit) for resource, limit in budget.primary.items()},
        "queue": {priority.name: last_sent for priority, last_sent in budget.queue.items()},
    }


def _from_json(data: dict[str, Any]) -> RateLimitState:
    def window(span: float, name: str) -> Window:
        return Window(span, tuple((int(part), int(amount)) for part, amount in data[name]))

    return RateLimitState(
        points=window(MINUTE, "points"),
        content=window(MINUTE, "content"),
        content_hour=window(HOUR, "content_hour"),
        bucket=Bucket(data.get("full_at", 0.0)),  # rows of earlier versions have neither bucket nor queue
        blocked_until=data["blocked_until"],
        primary={resource: PrimaryLimit(**limit) for resource, limit in data["primary"].items()},
        queue={
            SendPriority[name]: last for name, last in data.get("queue", {}).items() if name in SendPriority.__members__
        },
    )
