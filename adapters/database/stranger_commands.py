"""Counts the commands of people without a role, by installation."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, insert, select

from adapters.database import tables as t
from adapters.database.database import Database
from core.commands.stranger_budget import (
    HOUR,
    BudgetDecision,
    CommandUse,
    StrangerLimits,
    Verdict,
    decide_stranger_command,
)

_c = t.stranger_commands.c


async def use_budget(
    database: Database, installation_id: int, user_id: int, key: str, now: datetime, limits: StrangerLimits
) -> BudgetDecision:
    """Count one more comment and decide what becomes of it; concurrent ones of the installation wait for each other."""
    async with database.transaction() as connection:
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"strangers:{installation_id}"))))
        await connection.execute(delete(t.stranger_commands).where(_c.used_at <= now - HOUR))
        rows = await connection.execute(
            select(_c.user_id, _c.key, _c.used_at)
            .where(_c.installation_id == installation_id)
            .order_by(_c.used_at, _c.key)
        )
        uses = [CommandUse(*row) for row in rows]
        decision = decide_stranger_command(uses, user_id, key, now, limits)
        if decision.verdict in (Verdict.ANSWER, Verdict.LAST_NOTICE) and all(use.key != key for use in uses):
            values = {"installation_id": installation_id, "user_id": user_id, "key": key, "used_at": now}
            await connection.execute(insert(t.stranger_commands).values(values))
        return decision
