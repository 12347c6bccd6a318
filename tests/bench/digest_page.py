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
from sandbox.http.rate_limits import WRITES, RateLimitSettings
from sandbox.state.requests import RequestRecord
from tests.bench.environment import TIMEOUT_SECONDS, Environment, open_environment
from tests.bench.figure import Figure
from tests.builders import Story

_BUSY_COUNT = text(
    "SELECT (SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
    " + (SELECT count(*) FROM deadlines WHERE due_at <= :now)"
)
_STATUSES = (Status.PENDING, Status.READY, Status.IN_PROGRESS, Status.REVIEW, Status.FAILED)


async def digest_figures(tasks: int) -> list[Figure]:
    """The digest is made, edited after a change, and looked at when nothing changed."""
    async with open_environment({"codex": {"capabilities": ["python"]}}) as environment:
        await _wait_until_idle(environment)
        template_task = Story().file_ready_task().task
        async with environment.bot.database.transaction() as connection:
            for number in range(1001, 1001 + tasks):
                await store.save_task(
                    connection, _task(template_task, number, environment.shop.id), environment.bot.work.now()
                )
        await _draw_digest(environment)
        async with environment.bot.database.transaction() as connection:
            changed = replace(_task(template_task, 1001, environment.shop.id), title="It has another title now")
            await store.save_task(connection, changed, environment.bot.work.now())
        started_at = perf_counter()
        draw_requests = await _draw_digest(environment)
        seconds = perf_counter() - started_at
        idle_requests = await _draw_digest(environment)
        [page] = [
            issue.body or "" for issue in environment.shop.issues.values() if "orchestrator-digest" in issue.label_names
        ]
    details = {"tasks": tasks, "calls": len(draw_requests), "ms": round(seconds * 1000), "characters": len(page)}
    unchanged_details = {
        "points_unchanged": _count_points(idle_requests),
        "writes_unchanged": len(_write_requests(idle_requests)),
    }
    return [
        Figure("digest_points", _count_points(draw_requests), "points", 10, details={**details, **unchanged_details}),
        Figure("digest_content_writes", len(_write_requests(draw_requests)), "writes", 1, details={"tasks": tasks}),
    ]


def _task(template_task: Task, number: int, repository_id: int) -> Task:
    waits_for = (f"#{number - 1}",) if number % 3 == 0 else ()
    return replace(
        template_task,
        repository_id=repository_id,
        number=number,
        issue_id=number,
        title=f"Task {number} with a title of the usual length",
        status=_STATUSES[number % len(_STATUSES)],
        open_dependencies=waits_for,
    )


def _write_requests(requests: list[RequestRecord]) -> list[RequestRecord]:
    return [request for request in requests if request.method in WRITES]


def _count_points(requests: list[RequestRecord]) -> int:
    """As GitHub counts them against the limit of a minute."""
    limits, writes = RateLimitSettings(), len(_write_requests(requests))
    return writes * limits.write_points + (len(requests) - writes) * limits.read_points


async def _draw_digest(environment: Environment) -> list[RequestRecord]:
    """Have it drawn, and give what was asked of GitHub for it; tokens are not counted."""
    earlier_count = len(environment.hub.requests)
    async with environment.bot.work.begin(environment.shop.id) as unit:
        await unit.session.enqueue_effects(0, UpsertDigest())
    await _wait_until_idle(environment)
    return [
        request
        for request in environment.hub.requests[earlier_count:]
        if not (request.operation_id or "").startswith("apps/")
    ]


async def _wait_until_idle(environment: Environment) -> None:
    """Wait until there is nothing to do: no job, no deadline that is due, nothing to send, no delivery on its way."""
    pending_effects = select(func.count()).select_from(t.outbox).where(t.outbox.c.state == "pending")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            await environment.hub.wait_until_idle()
            async with environment.bot.database.autocommit() as connection:
                busy_count = (await connection.execute(_BUSY_COUNT, {"now": environment.bot.work.now()})).scalar_one()
                if (
                    not busy_count
                    and not (await connection.execute(pending_effects)).scalar_one()
                    and environment.hub.is_idle
                ):
                    return
            await asyncio.sleep(0.05)
