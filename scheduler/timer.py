"""Runs the timer loop: sweeps deadlines and retries the jobs of dead workers."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from adapters.database.jobs import JobQueue
from core.clock import Clock
from engine.clock import SyncedClock
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.downtime import extend_deadlines_after_downtime
from scheduler.sweep import sweep

log = structlog.get_logger()

WORKER_TIMEOUT_SECONDS = 5.0  # without a heartbeat of a worker, which sends one every second


async def retry_stalled_jobs(jobs: JobQueue) -> int:
    """Return the jobs of dead workers to the queue; returns how many."""
    stalled_jobs = list(await jobs.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=WORKER_TIMEOUT_SECONDS))
    for job in stalled_jobs:
        log.warning("stalled_job_retried", job=job.id, task=job.task_name, arguments=job.task_kwargs)
        # The queue uses the database's clock; any past moment means at once.
        await jobs.app.job_manager.retry_job(job, retry_at=datetime.now(UTC))
    if stalled_jobs:
        jobs.notify_requeued()
    return len(stalled_jobs)


async def run_scheduler(work: UnitOfWorkFactory, clock: Clock, interval_seconds: float) -> None:
    """Sweep, retry, sleep, until cancelled. A failing round is logged and the next one follows.

    Every round begins by reading the common time and by checking for a downtime since the last one.
    """
    while True:
        try:
            if isinstance(clock, SyncedClock):
                await clock.sync()
            await extend_deadlines_after_downtime(work)
            await sweep(work)
            await retry_stalled_jobs(work.jobs)
        except Exception:
            log.exception("scheduler_tick_failed")
        await clock.sleep(interval_seconds)
