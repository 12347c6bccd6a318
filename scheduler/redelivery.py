"""Requests redelivery of failed webhooks, because GitHub never does that by itself.

The log of deliveries is read from where the last pass stopped, and failures are stored by GUID, which all attempts
share. A delivery that arrived is never requested, according to GitHub or to the database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import redeliveries, store
from adapters.database.redeliveries import LogCursor, UndeliveredWebhook
from adapters.github.app import AppOperations
from adapters.github.errors import Invalid, RateLimited, Unauthorised
from adapters.github.models import HookDelivery
from engine.error_policy import next_retry_at, policy_for
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.prune import SERVICE_TARGET

log = structlog.get_logger()

IsHandled = Callable[[str, str | None], bool]

REDELIVER = "redeliver"
INTERVAL = timedelta(minutes=2)
RETRY_INTERVAL = timedelta(minutes=1)  # until the next pass if this one failed
REDELIVERY_WINDOW = timedelta(days=3)  # GitHub: older ones cannot be redelivered
LOG_DELAY = timedelta(minutes=5)  # GitHub: a delivery can take a few minutes to appear in the log
# Per pass, so that many minutes of catching up stay within GitHub's limits: 5,000 requests an hour, 900 points a minute
# (a write counts five), 80 writes of any kind a minute.
MAX_PAGES = 20  # of 100 deliveries
BATCH_SIZE = 60
MAX_ATTEMPTS = 12
INITIAL_BACKOFF = timedelta(minutes=4)  # so that the log shows its result
MAX_BACKOFF = timedelta(hours=4)


def backoff(attempts: int) -> timedelta:
    """The pause after this many requests; twelve tries take a little more than a day."""
    return min(INITIAL_BACKOFF * (1 << min(attempts - 1, 10)), MAX_BACKOFF)


async def request_redeliveries(work: UnitOfWorkFactory, app: AppOperations, is_handled: IsHandled) -> int:
    """Continue reading the log, request what is missing, and schedule the next pass; returns the number of requests."""
    requested, is_complete, delay = 0, False, INTERVAL
    try:
        is_complete = await _read_log(work, app, is_handled)
        requested, all_requested = await _request_due(work, app)
        delay = INTERVAL if is_complete and all_requested else RETRY_INTERVAL
    except RateLimited as error:
        delay = max(error.retry_at - work.now(), RETRY_INTERVAL)
        log.warning("redelivery_limited", until=error.retry_at.isoformat())
    async with work.database.transaction() as connection:
        await store.set_deadline(connection, 0, SERVICE_TARGET, REDELIVER, work.now() + delay)
    return requested


async def retry_dead_webhooks(connection: AsyncConnection, now: datetime) -> None:
    """At the start: dead webhooks get one more try, because the cause may be fixed."""
    if retried := await redeliveries.retry_dead(connection, now - REDELIVERY_WINDOW, MAX_ATTEMPTS - 1, now):
        log.info("redelivery_resumed", deliveries=retried)


async def _read_log(work: UnitOfWorkFactory, app: AppOperations, is_handled: IsHandled) -> bool:
    """Read the log back to the last position; False if that takes more passes."""
    async with work.database.autocommit() as connection:
        log_cursor = await redeliveries.load_cursor(connection)
    since = work.now() - REDELIVERY_WINDOW
    if log_cursor.complete_until:
        since = max(since, log_cursor.complete_until - LOG_DELAY)
    for _ in range(MAX_PAGES):
        try:
            page, cursor = await app.list_hook_deliveries(log_cursor.cursor)
        except Invalid:
            if log_cursor.cursor is None:
                raise
            log.info("delivery_log_rescan")  # GitHub no longer knows that position
            log_cursor = LogCursor(log_cursor.complete_until, log_cursor.read_at)
            continue
        scan_started_at = log_cursor.scan_started_at or (page[0].delivered_at if page else None)
        is_last_page = cursor is None or not page or page[-1].delivered_at < since
        if is_last_page:
            log_cursor = LogCursor(scan_started_at or log_cursor.complete_until, work.now())
        else:
            log_cursor = LogCursor(log_cursor.complete_until, log_cursor.read_at, scan_started_at, cursor)
        async with work.database.transaction() as connection:
            await _save_page(
                connection, [delivery for delivery in page if delivery.delivered_at >= since], is_handled, work.now()
            )
            await redeliveries.save_cursor(connection, log_cursor)
        if is_last_page:
            return True
    return False


async def _save_page(
    connection: AsyncConnection, page: list[HookDelivery], is_handled: IsHandled, now: datetime
) -> None:
    handled = [delivery for delivery in page if is_handled(delivery.event, delivery.action)]
    arrived_guids = {delivery.guid for delivery in handled if delivery.is_delivered}
    redelivered = {
        delivery.guid: _undelivered_webhook(delivery)
        for delivery in handled
        if delivery.is_delivered and delivery.redelivery
    }
    await redeliveries.mark_arrived(connection, arrived_guids, list(redelivered.values()))
    failed: dict[str, UndeliveredWebhook] = {}
    for delivery in handled:  # the newest attempt of a GUID comes first
        if delivery.guid not in arrived_guids:
            failed.setdefault(delivery.guid, _undelivered_webhook(delivery))
    await redeliveries.save_failed(connection, list(failed.values()), now)


def _undelivered_webhook(delivery: HookDelivery) -> UndeliveredWebhook:
    return UndeliveredWebhook(
        delivery.guid, delivery.id, delivery.event, delivery.action, delivery.status[:200], delivery.delivered_at
    )


async def _request_due(work: UnitOfWorkFactory, app: AppOperations) -> tuple[int, bool]:
    """Request those that are due; returns how many, and whether these were all."""
    now = work.now()
    async with work.database.transaction() as connection:
        await redeliveries.mark_received(connection)
        for dead_webhook in await redeliveries.mark_exhausted(connection, MAX_ATTEMPTS, now):
            _log_dead_webhook(dead_webhook, dead_webhook.status)
        due_webhooks = await redeliveries.list_due(connection, now, BATCH_SIZE + 1)
    for webhook in due_webhooks[:BATCH_SIZE]:
        await _request_redelivery(work, app, webhook)
    if due_webhooks:
        log.info(
            "redelivery_requested", deliveries=min(len(due_webhooks), BATCH_SIZE), more=len(due_webhooks) > BATCH_SIZE
        )
    return min(len(due_webhooks), BATCH_SIZE), len(due_webhooks) <= BATCH_SIZE


async def _request_redelivery(work: UnitOfWorkFactory, app: AppOperations, webhook: UndeliveredWebhook) -> None:
    """Request one delivery. The try is counted before the call: if the bot is killed in between, the next try comes
    later.
    """
    async with work.database.autocommit() as connection:
        await redeliveries.record_request(
            connection, webhook.guid, webhook.attempts + 1, work.now() + backoff(webhook.attempts + 1)
        )
    try:
        await app.redeliver(webhook.delivery_id)
    except Exception as error:
        policy = policy_for(error)
        if not policy.counts_attempt or isinstance(
            error, Unauthorised
        ):  # it was not done, and the delivery is not the cause
            async with work.database.autocommit() as connection:
                await redeliveries.record_request(connection, webhook.guid, webhook.attempts, work.now())
            raise
        if next_retry_at(error, webhook.attempts + 1, work.now(), 0.5) is None:
            _log_dead_webhook(webhook, str(error))
            async with work.database.autocommit() as connection:
                await redeliveries.mark_dead(connection, webhook.guid, str(error)[:200])
            return
        log.warning(
            "redelivery_retry_scheduled",
            delivery=webhook.guid,
            error=str(error),
            exc_info=error if policy.is_bug else None,
        )


def _log_dead_webhook(webhook: UndeliveredWebhook, reason: str) -> None:
    log.error(
        "redelivery_dead_lettered",
        delivery=webhook.guid,
        event_name=webhook.event,
        action=webhook.action,
        asked=webhook.attempts,
        failed_at=webhook.failed_at.isoformat(),
        reason=reason,
    )
