"""What the digest of a repository with many tasks costs GitHub: the real bot, its PostgreSQL, and the sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter

from sqlalchemy import func, select, text

from adapters.database import store
from adapters.database import tables as t
from core.effects.base import UpsertDigest
from core.task.model import Status, Task
from sandbox.http.pipeline import RequestRecord
from sandbox.http.rate_limits import WRITES, RateLimits
from tests.bench.environment import PATIENCE, Place, running
from tests.bench.figure import Figure
from tests.builders import Story

_BUSY = text(
    "SELECT (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
    " + (SELECT count(*) FROM deadlines WHERE due_at <= :now)"
)
_STATES = (Status.PENDING, Status.READY, Status.IN_PROGRESS, Status.REVIEW, Status.FAILED)


async def drawing(tasks: int) -> list[Figure]:
    """The digest is made, edited after a change, and looked at when nothing changed."""
    async with running({"codex": {"capabilities": ["python"]}}) as place:
        await _quiet(place)
        known = Story().ready().task
        async with place.bot.database.transaction() as connection:
            for number in range(1001, 1001 + tasks):
                await store.save_task(connection, _task(known, number, place.shop.id), place.bot.work.now())
        await _drawn(place)
        async with place.bot.database.transaction() as connection:
            changed = replace(_task(known, 1001, place.shop.id), title="It has another title now")
            await store.save_task(connection, changed, place.bot.work.now())
        begun = perf_counter()
        calls = await _drawn(place)
        seconds = perf_counter() - begun
        idle = await _drawn(place)
        [page] = [
            issue.body or "" for issue in place.shop.issues.values() if "orchestrator-digest" in issue.label_names
        ]
    how = {"tasks": tasks, "calls": len(calls), "ms": round(seconds * 1000), "characters": len(page)}
    unchanged = {"points_unchanged": _points(idle), "writes_unchanged": len(_writes(idle))}
    return [
        Figure("digest_points", _points(calls), "points", 10, how={**how, **unchanged}),
        Figure("digest_content_writes", len(_writes(calls)), "writes", 1, how={"tasks": tasks}),
    ]


def _task(known: Task, number: int, repository_id: int) -> Task:
    waits = (f"#{number - 1}",) if number % 3 == 0 else ()
    return replace(
        known,
        repository_id=repository_id,
        number=number,
        issue_id=number,
        title=f"Task {number} with a title of the usual length",
        status=_STATES[number % len(_STATES)],
        waits_for=waits,
    )


def _writes(calls: list[RequestRecord]) -> list[RequestRecord]:
    return [call for call in calls if call.method in WRITES]


def _points(calls: list[RequestRecord]) -> int:
    """As GitHub counts them against the limit of a minute."""
    costs, writes = RateLimits(), len(_writes(calls))
    return writes * costs.write_points + (len(calls) - writes) * costs.read_points


async def _drawn(place: Place) -> list[RequestRecord]:
    """Have it drawn, and give what was asked of GitHub for it; tokens are not counted."""
    before = len(place.hub.requests)
    async with place.bot.work.on(place.shop.id) as unit:
        await unit.enqueue_effects(0, UpsertDigest())
    await _quiet(place)
    return [call for call in place.hub.requests[before:] if not (call.operation_id or "").startswith("apps/")]


async def _quiet(place: Place) -> None:
    """Wait until there is nothing to do: no job, no deadline that is due, nothing to send, no delivery on its way."""
    waiting = select(func.count()).select_from(t.outbox).where(t.outbox.c.state == "waiting")
    async with asyncio.timeout(PATIENCE):
        while True:
            await place.hub.wait_until_idle()
            async with place.bot.database.autocommit() as connection:
                busy = (await connection.execute(_BUSY, {"now": place.bot.work.now()})).scalar_one()
                if not busy and not (await connection.execute(waiting)).scalar_one() and place.hub.is_idle:
                    return
            await asyncio.sleep(0.05)
