"""What GitHub could not hand over is asked for again: it never does that by itself.

Its log of deliveries is read from where the last pass stopped, and what failed is kept by GUID, the one thing that all
attempts have in common. What arrived is never asked for, be it that GitHub says so or that we have it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import redeliveries, store
from adapters.database.redeliveries import Missing, Place
from adapters.github.app import AppOperations
from adapters.github.errors import Invalid, RateLimited, Unauthorised
from adapters.github.models import HookDelivery
from engine.error_policy import fate_of, next_try
from engine.unit_of_work import Work
from scheduler.prune import SERVICE

log = structlog.get_logger()

Heard = Callable[[str, str | None], bool]

REDELIVER = "redeliver"
EVERY = timedelta(minutes=2)
SOON = timedelta(minutes=1)  # to the next pass when this one did not get through
KEPT = timedelta(days=3)  # GitHub: older ones cannot be asked for
LATE = timedelta(minutes=5)  # GitHub: a delivery can take a few minutes to appear in the log
# In one pass, so that many minutes of catching up stay within GitHub's limits: 5,000 requests an hour, 900 points a
# minute (a request to write counts five), 80 writes of any kind a minute.
PAGES = 20  # of 100 deliveries
AT_ONCE = 60
TRIES = 12
FIRST_PAUSE = timedelta(minutes=4)  # so that the log shows what became of it
LONGEST_PAUSE = timedelta(hours=4)


def pause_after(asked: int) -> timedelta:
    """How long one that was asked for so often is left alone; twelve tries take a little more than a day."""
    return min(FIRST_PAUSE * (1 << min(asked - 1, 10)), LONGEST_PAUSE)


async def redeliver(work: Work, app: AppOperations, is_heard: Heard) -> int:
    """Read on in the log, ask for what is missing, and come back; gives how many were asked for."""
    asked, through, again = 0, False, EVERY
    try:
        through = await _read(work, app, is_heard)
        asked, all_of_them = await _ask(work, app)
        again = EVERY if through and all_of_them else SOON
    except RateLimited as limited:
        again = max(limited.retry_at - work.now(), SOON)
        log.warning("redelivery_limited", until=limited.retry_at.isoformat())
    async with work.database.transaction() as connection:
        await store.set_deadline(connection, 0, SERVICE, REDELIVER, work.now() + again)
    return asked


async def resume(connection: AsyncConnection, now: datetime) -> None:
    """At the start: what was given up gets one more chance, for whatever was wrong may be mended."""
    if again := await redeliveries.unpark(connection, now - KEPT, TRIES - 1, now):
        log.info("redelivery_resumed", deliveries=again)


async def _read(work: Work, app: AppOperations, is_heard: Heard) -> bool:
    """Read the log to where it was read before; False when that takes more passes."""
    async with work.database.autocommit() as connection:
        place = await redeliveries.place(connection)
    since = work.now() - KEPT
    if place.read_to:
        since = max(since, place.read_to - LATE)
    for _ in range(PAGES):
        try:
            page, cursor = await app.hook_deliveries(place.cursor)
        except Invalid:
            if place.cursor is None:
                raise
            log.info("delivery_log_rescan")  # GitHub does not know that place any more
            place = Place(place.read_to, place.read_at)
            continue
        newest = place.newest or (page[0].delivered_at if page else None)
        ended = cursor is None or not page or page[-1].delivered_at < since
        if ended:
            place = Place(newest or place.read_to, work.now())
        else:
            place = Place(place.read_to, place.read_at, newest, cursor)
        async with work.database.transaction() as connection:
            await _note(connection, [one for one in page if one.delivered_at >= since], is_heard, work.now())
            await redeliveries.save_place(connection, place)
        if ended:
            return True
    return False


async def _note(connection: AsyncConnection, page: list[HookDelivery], is_heard: Heard, now: datetime) -> None:
    heard = [one for one in page if is_heard(one.event, one.action)]
    arrived = {one.guid for one in heard if one.arrived}
    again = {one.guid: _missing(one) for one in heard if one.arrived and one.redelivery}
    await redeliveries.arrived(connection, arrived, list(again.values()))
    failed: dict[str, Missing] = {}
    for one in heard:  # the newest of a GUID comes first
        if one.guid not in arrived:
            failed.setdefault(one.guid, _missing(one))
    await redeliveries.failed(connection, list(failed.values()), now)


def _missing(one: HookDelivery) -> Missing:
    return Missing(one.guid, one.id, one.event, one.action, one.status[:200], one.delivered_at)


async def _ask(work: Work, app: AppOperations) -> tuple[int, bool]:
    """Ask for those whose turn it is; gives how many, and whether these were all."""
    now = work.now()
    async with work.database.transaction() as connection:
        await redeliveries.found_here(connection)
        for given_up in await redeliveries.give_up(connection, TRIES, now):
            _tell_parked(given_up, given_up.status)
        waiting = await redeliveries.to_ask(connection, now, AT_ONCE + 1)
    for one in waiting[:AT_ONCE]:
        await _ask_for(work, app, one)
    if waiting:
        log.info("redelivery_requested", deliveries=min(len(waiting), AT_ONCE), more=len(waiting) > AT_ONCE)
    return min(len(waiting), AT_ONCE), len(waiting) <= AT_ONCE


async def _ask_for(work: Work, app: AppOperations, one: Missing) -> None:
    """Ask for one delivery. The try is counted before the call: killed in between, it waits for its next turn."""
    async with work.database.autocommit() as connection:
        await redeliveries.asked(connection, one.guid, one.asked + 1, work.now() + pause_after(one.asked + 1))
    try:
        await app.redeliver(one.delivery_id)
    except Exception as error:
        fate = fate_of(error)
        if not fate.counts or isinstance(error, Unauthorised):  # it was not done, and is none of this one's fault
            async with work.database.autocommit() as connection:
                await redeliveries.asked(connection, one.guid, one.asked, work.now())
            raise
        if next_try(error, one.asked + 1, work.now(), 0.5) is None:
            _tell_parked(one, str(error))
            async with work.database.autocommit() as connection:
                await redeliveries.park(connection, one.guid, str(error)[:200])
            return
        log.warning(
            "redelivery_retry_scheduled", delivery=one.guid, error=str(error), exc_info=error if fate.ours else None
        )


def _tell_parked(one: Missing, reason: str) -> None:
    log.error(
        "redelivery_dead_lettered",
        delivery=one.guid,
        event_name=one.event,
        action=one.action,
        asked=one.asked,
        failed_at=one.failed_at.isoformat(),
        reason=reason,
    )
