"""The loop that everything timed hangs on: due deadlines, and the jobs of workers that died."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from adapters.database.jobs import JobQueue
from core.clock import Clock
from engine.clock import CommonClock
from engine.unit_of_work import Work
from scheduler.downtime import after_absence
from scheduler.sweep import sweep

log = structlog.get_logger()

DEAD_AFTER = 5.0  # seconds without a heartbeat of a worker, which beats every second


async def revive(jobs: JobQueue) -> int:
    """Put the jobs of workers that died back into the queue; gives how many."""
    stalled = list(await jobs.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER))
    for job in stalled:
        log.warning("stalled_job_retried", job=job.id, task=job.task_name, arguments=job.task_kwargs)
        # The queue keeps its own time, that of the database; any past moment means at once.
        await jobs.app.job_manager.retry_job(job, retry_at=datetime.now(UTC))
    if stalled:
        jobs.requeued()
    return len(stalled)


async def run_timer(work: Work, clock: Clock, every: float) -> None:
    """Sweep, revive, sleep, until cancelled. A failing round is logged and followed by the next.

    Every round begins with agreeing on the time, and with looking whether we were away since the last one.
    """
    while True:
        try:
            if isinstance(clock, CommonClock):
                await clock.agree()
            await after_absence(work)
            await sweep(work)
            await revive(work.jobs)
        except Exception:
            log.exception("scheduler_tick_failed")
        await clock.sleep(every)
