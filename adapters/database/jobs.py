"""The job queue: Procrastinate on our own PostgreSQL, so that a job is part of the transaction that asks for it.

A job means "do this now". Every wait is a row in `deadlines`, under our own clock; the queue never waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import procrastinate
import psycopg
import psycopg_pool
from procrastinate.jobs import Job
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database.database import IDLE_SECONDS

DELIVERY = "delivery"  # handle the deliveries that wait under one ordering key
DUE = "due"  # handle one deadline that has come due
SEND = "send"  # send the pending effects of one issue or channel
URGENT_SEND = "urgent send"  # the kind of a deadline after which an urgent effect is sent (`Lane.is_urgent`)

MAIN = "default"
CHANNEL = "channel:"
ALERTS = "alerts"  # the queue of messages on channels: its workers do nothing else, so a slow channel holds up no work
# The queue of work on mirrors, and the channel under which its effects are stored: one job of a repository at a time,
# with workers of its own, because a fetch may take minutes.
GIT = "git"

# Higher runs first. Deliveries before everything: what is decided without them may be decided in vain. Deadlines
# and urgent effects (`Lane.is_urgent`) take turns by age. Labels, cards and pages come last.
PRIORITIES = {DELIVERY: 2, DUE: 1, SEND: 0}
URGENT = 1  # of a job that sends such effects

REQUESTED_JOBS = """
wanted AS (
    SELECT w.place, w.job->>'queue' AS queue, w.job->>'task' AS task, (w.job->>'priority')::integer AS priority,
        w.job->>'lock' AS lock, w.job->'args' AS args
    FROM jsonb_array_elements(:jobs) WITH ORDINALITY AS w(job, place)
)
"""
DEFER = """
-- A job that waits already sees all that is committed before it begins: its row is locked until we commit, so that no
-- worker begins it before. One that was begun before does not count: the worker that was taken for dead may still run
-- it, and deletes it.
waiting AS MATERIALIZED (
    SELECT id, task_name, lock, args, queue_name, priority FROM procrastinate_jobs
    WHERE lock = ANY(ARRAY(SELECT lock FROM wanted)) AND status = 'todo' AND attempts = 0
        AND (scheduled_at IS NULL OR scheduled_at <= now())
    FOR SHARE SKIP LOCKED
),
deferred AS (
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, args)
    SELECT queue, task, priority, lock, args FROM wanted
    WHERE NOT EXISTS (
        SELECT FROM waiting AS x WHERE x.task_name = wanted.task AND x.lock = wanted.lock AND x.args = wanted.args
    )
    ORDER BY place
),
-- A job that waits already becomes as urgent as the one that is asked for; not while another transaction counts on it
-- too, because two that raise the same row would wait for each other.
raisable AS MATERIALIZED (
    SELECT jobs.id, wanted.priority
    FROM procrastinate_jobs AS jobs JOIN waiting ON waiting.id = jobs.id JOIN wanted
        ON waiting.task_name = wanted.task AND waiting.lock = wanted.lock AND waiting.args = wanted.args
    WHERE waiting.priority < wanted.priority
    FOR UPDATE OF jobs SKIP LOCKED
),
raised AS (
    UPDATE procrastinate_jobs SET priority = raisable.priority FROM raisable WHERE procrastinate_jobs.id = raisable.id
)
"""
"""The jobs of `wanted` become rows, unless the same job waits already.

Common table expressions, to be joined with others; in `WANTED`, `:jobs` is JSON (`rows_of`).
"""

# A worker that meets a locked row passes over it, and would not look again by itself.
WAKE = """
SELECT pg_notify('procrastinate_queue_v1#' || queue_name, '{"type": "job_inserted", "job_id": 0}')
FROM (SELECT DISTINCT queue_name FROM waiting) AS locked
"""
_DEFER = text(f"WITH {REQUESTED_JOBS}, {DEFER} {WAKE}").bindparams(bindparam("jobs", type_=JSONB))


class _Pool(psycopg_pool.AsyncConnectionPool):
    """The queue's connections. Only one that lay idle is asked whether it lives (see `database.IDLE_SECONDS`)."""

    def __init__(self, *, check: object, **options: Any) -> None:
        """`check` would ask before each use. Each statement of the queue is a transaction of its own."""
        self._idle_since: WeakKeyDictionary[psycopg.AsyncConnection, float] = WeakKeyDictionary()
        super().__init__(check=self._check_if_idle, reset=self._on_release, configure=_enable_autocommit, **options)

    async def _on_release(self, connection: psycopg.AsyncConnection) -> None:
        self._idle_since[connection] = monotonic()

    async def _check_if_idle(self, connection: psycopg.AsyncConnection) -> None:
        if monotonic() - self._idle_since.get(connection, 0) >= IDLE_SECONDS:
            await self.check_connection(connection)


async def _enable_autocommit(connection: psycopg.AsyncConnection) -> None:
    await connection.set_autocommit(True)


class EffectGroup(NamedTuple):
    """Effects that one job sends in order: those of an issue (0: of the repository itself), or those of a channel.

    Work on the repository's mirror has the channel `GIT`.
    """

    issue_number: int | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job that is asked for: which, behind which lock, and what it is told."""

    task_name: str
    lock: str
    arguments: dict[str, Any]
    urgent: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """The job as `DEFER` takes it; equal for jobs that would do the same."""
        return {
            "queue": ALERTS if self.lock.startswith(CHANNEL) else GIT if self.lock.startswith(f"{GIT}:") else MAIN,
            "task": self.task_name,
            "priority": max(PRIORITIES[self.task_name], URGENT if self.urgent else 0),
            "lock": self.lock,
            "args": self.arguments,
        }


def unique_rows(requests: Sequence[JobRequest]) -> list[dict[str, Any]]:
    """The jobs as `DEFER` takes them, each once."""
    rows = [request.row for request in requests]
    return [row for index, row in enumerate(rows) if row not in rows[:index]]


class JobQueue:
    """Puts jobs into the queue; `bot.jobs` runs them."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        """`url` is the database's; nothing is connected before `open`."""
        self.url = url
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=pool_size, pool_factory=_Pool)
        self.app = procrastinate.App(connector=connector)
        self.on_requeue: Callable[[], None] | None = None  # wakes the worker of this process

    async def defer_all(self, connection: AsyncConnection, requests: Sequence[JobRequest]) -> None:
        """Ask for these jobs in the transaction of `connection`; jobs with the same lock run one after the other.

        A job that waits already is not asked for again: it will see all that is known when it begins.
        """
        if requests:
            await connection.execute(_DEFER, {"jobs": unique_rows(requests)})

    async def retry_later(self, job: Job, retry_at: datetime) -> None:
        """A job runs again, not before `retry_at`. One that was given to another worker, and is done, is left alone."""
        try:
            await self.app.job_manager.retry_job(job, retry_at=retry_at)
        except procrastinate.exceptions.ConnectorException as error:
            if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                raise

    async def finish(self, job_id: int) -> None:
        """A job succeeded, and no other one is wanted."""
        await self.app.job_manager.finish_job_by_id_async(job_id, procrastinate.jobs.Status.SUCCEEDED, delete_job=True)

    def notify_requeued(self) -> None:
        """Jobs were put back into the queue, of which PostgreSQL notifies no worker."""
        if self.on_requeue:
            self.on_requeue()


def issue_lock(repository_id: int, number: int | str) -> str:
    """News of one issue is handled in the order in which it came."""
    return f"issue:{repository_id}:{number}"


def send_lock(repository_id: int, issue_number: int | None, channel: str | None = None) -> str:
    """The effects of one issue are sent in order; so are the messages of one channel, of all repositories.

    Of one repository, one job at a time uses the mirror.
    """
    if channel == GIT:
        return f"{GIT}:{repository_id}"
    return f"send:{repository_id}:{issue_number}" if channel is None else f"{CHANNEL}{channel}"


def delivery_job(key: str) -> JobRequest:
    """The job that handles the deliveries that wait under an ordering key."""
    return JobRequest(DELIVERY, key, {"key": key})


def retry_key(guid: str) -> str:
    """The ordering key of a delivery that failed and is tried again by itself."""
    return f"delivery:{guid}"


def send_job(
    repository_id: int, issue_number: int | None, channel: str | None = None, *, urgent: bool = False
) -> JobRequest:
    """The job that sends the pending effects of one issue, or of one channel; `urgent` as in `Lane.is_urgent`."""
    arguments = {"repository_id": repository_id, "issue_number": issue_number, "channel": channel}
    return JobRequest(SEND, send_lock(repository_id, issue_number, channel), arguments, urgent)
