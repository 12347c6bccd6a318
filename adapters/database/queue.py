"""The job queue: Procrastinate on our own PostgreSQL, so that a job is part of the transaction that asks for it.

A job means "do this now". Every wait is a row in `deadlines`, under our own clock; the queue never waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import procrastinate
import psycopg
import psycopg_pool
from procrastinate.jobs import Job
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import IDLE_SECONDS

DELIVERY = "delivery"  # handle one delivery
DUE = "due"  # handle one deadline that has come due
SEND = "send"  # send what waits in the outbox for one task

MAIN = "default"
_CHANNEL = "channel:"
ALERTS = "alerts"  # the queue of messages on channels: its workers do nothing else, so a slow channel holds up no work

# Higher runs first. News before everything: what is decided without it may be decided in vain. The clock and what is to
# be sent take turns by age, so that neither starves where there is too much of the other.
PRIORITIES = {DELIVERY: 1, DUE: 0, SEND: 0}

# One that was begun before is not counted on: whoever was taken for dead may be at it still, and ends it for everybody.
_WAITING = text(
    "SELECT task_name, lock, args FROM procrastinate_jobs WHERE lock = ANY(:locks) AND status = 'todo'"
    " AND attempts = 0 AND (scheduled_at IS NULL OR scheduled_at <= now()) FOR SHARE SKIP LOCKED"
)


class _Pool(psycopg_pool.AsyncConnectionPool):
    """The queue's connections. Only one that lay idle is asked whether it lives (see `database.IDLE_SECONDS`)."""

    def __init__(self, *, check: object, **more: Any) -> None:
        """`check` would ask before each use."""
        self._at_rest: WeakKeyDictionary[psycopg.AsyncConnection, float] = WeakKeyDictionary()
        super().__init__(check=self._wake, reset=self._rest, **more)

    async def _rest(self, connection: psycopg.AsyncConnection) -> None:
        self._at_rest[connection] = monotonic()

    async def _wake(self, connection: psycopg.AsyncConnection) -> None:
        if monotonic() - self._at_rest.get(connection, 0) >= IDLE_SECONDS:
            await self.check_connection(connection)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job that is asked for: which, behind which lock, and what it is told."""

    job: str
    lock: str
    arguments: dict[str, Any]

    @property
    def mark(self) -> tuple[object, ...]:
        """Equal for jobs that would do the same."""
        return _mark(self.job, self.lock, self.arguments)


def _mark(job: str, lock: str, arguments: dict[str, Any]) -> tuple[object, ...]:
    return (job, lock, *sorted(arguments.items()))


class JobQueue:
    """Puts jobs into the queue; `bot.jobs` runs them."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        """`url` is the database's; nothing is connected before `open`."""
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=pool_size, pool_factory=_Pool)
        self.app = procrastinate.App(connector=connector)

    async def defer_all(self, connection: AsyncConnection, wanted: Sequence[Wanted]) -> None:
        """Ask for these jobs in the transaction of `connection`; jobs with the same lock run one after the other.

        What waits already is not asked for again: it will see all that is known when it begins.
        """
        unique = {one.mark: one for one in wanted}
        # Nobody asks twice for a delivery, and whoever sent it waits for us.
        if locks := [one.lock for one in unique.values() if one.job != DELIVERY]:
            # They stay where they are until we commit: only then a worker takes one, and finds what we wrote.
            for row in await connection.execute(_WAITING, {"locks": locks}):
                unique.pop(_mark(*row), None)
        if not unique:
            return
        raw = await connection.get_raw_connection()
        made = [self._job(one) for one in unique.values()]
        await self.app.job_manager.batch_defer_jobs_async(jobs=made, connection=raw.driver_connection)

    def _job(self, wanted: Wanted) -> Job:
        deferrer = self.app.configure_task(
            wanted.job,
            lock=wanted.lock,
            priority=PRIORITIES[wanted.job],
            queue=ALERTS if wanted.lock.startswith(_CHANNEL) else MAIN,
        )
        return deferrer.make_new_job(**wanted.arguments)


def issue_lock(repository_id: int, number: int | str) -> str:
    """News of one issue is handled in the order in which it came."""
    return f"issue:{repository_id}:{number}"


def send_lock(repository_id: int, number: int) -> str:
    """The effects of one task are sent in order; so are the messages of one channel (`Notify.place`), of all tasks."""
    if number < 0:
        return f"{_CHANNEL}{-number}"
    return f"send:{repository_id}:{number}"


def sending(repository_id: int, number: int) -> Wanted:
    """The job that sends what waits for one task."""
    return Wanted(SEND, send_lock(repository_id, number), {"repository_id": repository_id, "number": number})
