"""Defines the jobs of a worker: deliveries, due deadlines, the outbox.

No job ever disappears. One that fails because of an external cause becomes a deadline and returns; one that dies with
its worker is returned to the queue by the timer; one that is interrupted by a shutdown is given back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from adapters.database import store
from adapters.database.deliveries import (
    LARGE_PAYLOAD_BYTES,
    StoredDelivery,
    load_payload,
    next_delivery,
    update_delivery,
)
from adapters.database.jobs import ALERTS, DELIVERY, DUE, GIT, MAIN, SEND, EffectGroup, JobQueue, retry_key
from adapters.database.worker import Worker
from bot.http.admission import malloc_trim
from core.task.deadlines import DeadlineTarget, TargetKind
from engine.error_policy import next_retry_at, policy_for
from engine.outbox import Outbox
from engine.session import NoConfiguration
from handlers import HANDLERS, Delivery, HandlerContext
from handlers.event_filter import may_be_relevant
from scheduler.deadlines import handle_deadline as handle_due

log = structlog.get_logger()

SHUTDOWN_SECONDS = 10.0
RESTART_PAUSE = 1.0


def register(
    jobs: JobQueue, context: HandlerContext, outbox: Outbox, yield_to_requests: Callable[[], Awaitable[None]]
) -> None:
    """Register the jobs with the queue. `yield_to_requests` is called before each delivery that is handled."""
    large_payload_lock = asyncio.Lock()

    @jobs.app.task(name=DELIVERY)
    async def delivery(key: str) -> None:
        await handle_deliveries(context, key, large_payload_lock, yield_to_requests)

    @jobs.app.task(name=DUE)
    async def due(
        repository_id: int, target_kind: str, target_id: str, kind: str, attempt: int, payload: dict[str, Any]
    ) -> None:
        target = DeadlineTarget(target_kind, target_id)
        with structlog.contextvars.bound_contextvars(target_kind=target_kind, target_id=target_id, kind=kind):
            try:
                await handle_due(
                    context.work,
                    context.client,
                    context.forecasts,
                    repository_id,
                    target,
                    kind,
                    attempt,
                    payload,
                    is_handled,
                )
            except Exception as error:
                # It was already scheduled again; a second try by the queue would only duplicate it.
                policy = policy_for(error)
                log_failure = log.warning if policy.is_transient else log.error
                log_failure("deadline_later", error=str(error), exc_info=error if policy.is_bug else None)

    @jobs.app.task(name=SEND)
    async def send(repository_id: int, issue_number: int | None, channel: str | None) -> None:
        await outbox.send_pending(repository_id, EffectGroup(issue_number, channel))


def is_handled(event: str, action: str | None) -> bool:
    """Whether a handler would process such a delivery."""
    return event in HANDLERS and may_be_relevant(event, action)


async def handle_deliveries(
    context: HandlerContext,
    key: str,
    large_payload_lock: asyncio.Lock,
    yield_to_requests: Callable[[], Awaitable[None]],
) -> None:
    """Handle the deliveries that wait under an ordering key, the oldest first.

    A failure is recorded and retried later, or becomes a dead letter if nothing helps. Only one large delivery is in
    memory at a time: parsed, it takes many times its size.
    """
    handled_guid: str | None = None
    while True:
        await yield_to_requests()
        async with context.work.database.autocommit() as connection:
            stored = await next_delivery(connection, key, handled_guid, context.work.now(), LARGE_PAYLOAD_BYTES)
        if stored is None:
            return
        if stored.payload:
            is_done = await _handle(context, stored, json.loads(stored.payload))
        else:
            async with large_payload_lock:
                is_done = await _handle(
                    context, stored, json.loads(await load_payload(context.work.database, stored.guid))
                )
            malloc_trim()
        handled_guid = stored.guid if is_done else None


async def _handle(context: HandlerContext, stored: StoredDelivery, payload: dict[str, Any]) -> bool:
    """Whether the delivery was handled; otherwise its failure is recorded."""
    guid = stored.guid
    with structlog.contextvars.bound_contextvars(delivery=guid, event_name=stored.event, action=stored.action):
        delivery = Delivery(guid, stored.event, stored.action, payload, stored.received_at, stored.repository)
        try:
            if await context.is_relevant(delivery):
                await HANDLERS[stored.event](delivery, context)
        except NoConfiguration:
            log.info("delivery_ignored_unconfigured")
        except Exception as error:
            await _record_failure(context, stored, error)
            return False
        return True


async def _record_failure(context: HandlerContext, stored: StoredDelivery, error: Exception) -> None:
    work, policy = context.work, policy_for(error)
    attempts = stored.attempts + policy.counts_attempt
    retry_at = next_retry_at(error, max(attempts, 1), work.now(), 0.5)
    exc_info = error if policy.is_bug else None
    values: dict[str, Any] = {"attempts": attempts, "error": f"{type(error).__name__}: {error}"[:1000]}
    values["ordering_key"] = retry_key(stored.guid)  # later deliveries do not wait for it
    if retry_at is None:
        log.error("delivery_dead_lettered", tries=attempts, error=str(error), exc_info=exc_info)
        values["handled_at"] = work.now()
    else:
        log.warning(
            "delivery_retry_scheduled", tries=attempts, error=str(error), until=retry_at.isoformat(), exc_info=exc_info
        )
    async with work.database.transaction() as connection:
        await update_delivery(connection, stored.guid, **values)
        if retry_at is not None:
            earliest_retry = work.now() + timedelta(seconds=1)
            target = DeadlineTarget(TargetKind.DELIVERY, stored.guid)
            await store.set_deadline(
                connection, stored.repository_id or 0, target, "retry", max(retry_at, earliest_retry)
            )


async def run_worker(jobs: JobQueue, concurrency_by_queues: Mapping[tuple[str, ...], int]) -> None:
    """Work until cancelled; then finish running jobs, and return those that take too long.

    `concurrency_by_queues` maps the names of queues to how many of their jobs run at once.
    """
    while True:
        try:
            await Worker(jobs, concurrency_by_queues, shutdown_seconds=SHUTDOWN_SECONDS).run()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("worker_failed")  # it does so when it lost the database
        await asyncio.sleep(RESTART_PAUSE)


async def drain_queue(jobs: JobQueue, concurrency: int) -> None:
    """Run all present jobs and those they create, then return: for tests."""
    await Worker(jobs, {(MAIN, ALERTS, GIT): concurrency}).run_until_idle()
