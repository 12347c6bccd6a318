"""Runs the jobs of the queue: fetches them without polling, renews the heartbeat, and gives back what it cannot finish.

The tables, the functions and the notifications are Procrastinate's. Its own worker needs two statements for each job,
and polls for jobs that waited for a lock. This one finishes a job and fetches the next in one statement
(`job_tables.NEXT_JOB`). The slot that frees a lock fetches again at once, so nothing has to be polled.

No repository holds all slots: one that runs some jobs gets another slot only while more than so many are free. So the
first may hold half of them, the next half of the rest, and there is room for one whose jobs are quick.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate.jobs import Job
from psycopg import sql

from adapters.database.jobs import JobQueue

log = structlog.get_logger()

HEARTBEAT_SECONDS = 1.0
STALLED_WORKER_SECONDS = 60.0
"""After which the row of a dead worker is deleted. Its jobs are put back long before (`scheduler.timer`)."""
POLL_SECONDS = 5.0
"""A notification can be lost when its connection breaks: then the queue is read again after this time."""
LISTEN_PING_SECONDS = 30.0
"""How often the connection that listens is asked whether it lives."""
RECONNECT_SECONDS = 1.0
RETRY_DELAY = timedelta(seconds=1)
"""A job that failed (a shutdown, the database) runs again after one such pause, then after two, three, …"""

_NEXT_JOB = (
    "SELECT (f.job).id, (f.job).status, (f.job).task_name, (f.job).priority, (f.job).lock, (f.job).queueing_lock,"
    " (f.job).args, (f.job).scheduled_at, (f.job).queue_name, (f.job).attempts, (f.job).worker_id, f.more"
    " FROM orchestrator_next_job(%(finished)s, %(queues)s::varchar[], %(worker_id)s, %(busy)s::varchar[]) AS f"
)


@dataclass(slots=True)
class _Source:
    """Where slots fetch their jobs: one idle slot at a time waits for `wakeup`, so that a job wakes one of them."""

    queues: tuple[str, ...]
    slot_count: int
    running: Counter[str] = field(default_factory=Counter)  # jobs by repository
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    wait_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    share_lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # held from reading the shares to counting the job

    def at_their_share(self) -> list[str]:
        """The repositories that may not have another slot now."""
        free_count = self.slot_count - self.running.total()
        return [repository for repository, count in self.running.items() if count >= free_count]


class Worker:
    """Runs jobs. `slots` maps the names of queues to the number of their jobs that may run at once."""

    def __init__(self, jobs: JobQueue, slots: Mapping[tuple[str, ...], int], *, shutdown_seconds: float = 10.0) -> None:
        """On cancellation a job that takes longer than `shutdown_seconds` is cancelled and put back."""
        self._jobs = jobs
        self._slots = [source for queues, count in slots.items() for source in [_Source(queues, count)] * count]
        self._sources = {queue: source for source in self._slots for queue in source.queues}
        self._shutdown_seconds = shutdown_seconds
        self._worker_id: int | None = None
        self._busy_slots = len(self._slots)  # slots that run a job or fetch one
        self._stopping = False

    @property
    def is_idle(self) -> bool:
        """Whether every slot waits for news of a job."""
        return self._busy_slots == 0

    async def run(self) -> None:
        """Run jobs until cancelled. Raises what broke the connection to the database."""
        manager = self._jobs.app.job_manager
        await manager.prune_stalled_workers(STALLED_WORKER_SECONDS)
        self._worker_id = await manager.register_worker()
        listening = asyncio.Event()
        ready = asyncio.create_task(listening.wait())
        background = [asyncio.create_task(self._renew_heartbeat()), asyncio.create_task(self._listen(listening))]
        slots: list[asyncio.Task[None]] = []
        self._jobs.on_requeue = self._wake_all
        try:
            await asyncio.wait([*background, ready], return_when=asyncio.FIRST_COMPLETED)
            slots += [asyncio.create_task(self._run_slot(source)) for source in self._slots]
            done, _ = await asyncio.wait([*slots, *background], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._jobs.on_requeue = None
            await self._stop(slots)
            ready.cancel()
            for task in background:
                task.cancel()
            await asyncio.gather(ready, *background, return_exceptions=True)
            with contextlib.suppress(procrastinate.exceptions.ConnectorException):  # then others find it dead
                await manager.unregister_worker(self._worker_id)

    async def run_until_idle(self) -> None:
        """Run the jobs that wait, and those they lead to, then return."""
        await asyncio.gather(*(self._run_slot(source, wait=False) for source in self._slots))

    async def _stop(self, slots: list[asyncio.Task[None]]) -> None:
        self._stopping = True
        self._wake_all()
        if not slots:
            return
        _, unfinished = await asyncio.wait(slots, timeout=self._shutdown_seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*slots, return_exceptions=True)

    def _wake_all(self) -> None:
        for source in self._sources.values():
            source.wakeup.set()

    async def _run_slot(self, source: _Source, *, wait: bool = True) -> None:
        finished_id: int | None = None
        while not self._stopping:
            job, has_more = await self._fetch_job(source, finished_id)
            finished_id = None
            if has_more:
                source.wakeup.set()
            while job is None and not self._stopping:
                self._busy_slots -= 1
                if not wait and self.is_idle:
                    self._stopping = True
                    self._wake_all()
                job = await self._wait_for_job(source)
                self._busy_slots += 1
            if job is not None and await self._run_counted(source, job):
                finished_id = job.id
        if finished_id is not None:
            await self._jobs.finish(finished_id)

    async def _wait_for_job(self, source: _Source) -> Job | None:
        """The next job after news of one, or after a while; None when there is none after all."""
        async with source.wait_lock:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await source.wakeup.wait()
            if self._stopping:
                return None
            source.wakeup.clear()
            self._busy_slots += 1
            try:
                job, has_more = await self._fetch_job(source, None)
            finally:
                self._busy_slots -= 1
            if has_more:
                source.wakeup.set()
            return job

    async def _fetch_job(self, source: _Source, finished_id: int | None) -> tuple[Job | None, bool]:
        async with source.share_lock:
            row: dict[str, Any] = await self._jobs.app.connector.execute_query_one_async(
                _NEXT_JOB,
                finished=finished_id,
                queues=list(source.queues),
                worker_id=self._worker_id,
                busy=source.at_their_share(),
            )
            job = Job.from_row(row) if row["id"] is not None else None
            if job is not None:
                source.running[_repository_of(job)] += 1
        return job, row["more"]

    async def _run_counted(self, source: _Source, job: Job) -> bool:
        try:
            return await self._run_job(job)
        finally:
            source.running -= Counter([_repository_of(job)])

    async def _run_job(self, job: Job) -> bool:
        """Run a job; False when it failed and was put back."""
        try:
            await self._jobs.app.tasks[job.task_name](**job.task_kwargs)
        except asyncio.CancelledError:
            await asyncio.shield(self._jobs.retry_later(job, datetime.now(UTC)))
            raise
        except Exception as error:
            log.exception("job_failed", task=job.task_name, arguments=job.task_kwargs, error=str(error))
            delay = RETRY_DELAY * (job.attempts + 1)
            await self._jobs.retry_later(job, datetime.now(UTC) + delay)
            asyncio.get_running_loop().call_later(delay.total_seconds(), self._wake_all)
            return False
        return True

    async def _renew_heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if self._worker_id is not None:
                await self._jobs.app.job_manager.update_heartbeat(self._worker_id)

    async def _listen(self, ready: asyncio.Event) -> None:
        """Wake the slots of a queue when a job comes; after a broken connection all of them, for some may be missed."""
        channels = {f"procrastinate_queue_v1#{queue}": source for queue, source in self._sources.items()}
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._jobs.url, autocommit=True) as connection:
                    for channel in channels:
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    ready.set()
                    self._wake_all()
                    while True:
                        async for notification in connection.notifies(timeout=LISTEN_PING_SECONDS):
                            channels[notification.channel].wakeup.set()
                        await connection.execute("SELECT 1")  # raises when the server is gone
            except psycopg.OperationalError as error:
                if not ready.is_set():
                    raise
                log.warning("job_listener_interrupted", error=str(error))
                await asyncio.sleep(RECONNECT_SECONDS)


def _repository_of(job: Job) -> str:
    """The second part of its lock."""
    return (job.lock or "").partition(":")[2].partition(":")[0]
