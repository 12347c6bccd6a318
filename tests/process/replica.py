"""A replica that only keeps time: the sweep, the revival of dead workers' jobs, and the real handling of deadlines.

Run as `python -m tests.process.replica <database URL>`; it works until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

from adapters.database.database import Database
from adapters.database.jobs import DUE, MAIN, SEND, JobQueue
from adapters.github import GitHubClient
from bot.jobs import run_worker
from bot.logs import configure_logs
from core.task.deadlines import DeadlineTarget
from engine.clock import SystemClock
from engine.unit_of_work import UnitOfWorkFactory
from scheduler.deadlines import handle_deadline as handle_due
from scheduler.timer import run_scheduler

NO_GITHUB = cast(GitHubClient, None)  # the deadlines of this story ask it nothing


async def main(url: str) -> None:
    """Work until killed."""
    database, jobs, clock = Database(url), JobQueue(url), SystemClock()
    unit_of_work_factory = UnitOfWorkFactory(database, jobs, clock.now)

    @jobs.app.task(name=DUE)
    async def due(target_kind: str, target_id: str, **arguments: Any) -> None:
        target = DeadlineTarget(target_kind, target_id)
        await handle_due(
            unit_of_work_factory, NO_GITHUB, target=target, **arguments, is_handled=lambda event, action: False
        )

    @jobs.app.task(name=SEND)
    async def send(**arguments: Any) -> None:
        """What is to be said of it is no part of the story."""

    async with jobs.app.open_async(), asyncio.TaskGroup() as group:
        group.create_task(run_worker(jobs, {(MAIN,): 4}))
        group.create_task(run_scheduler(unit_of_work_factory, clock, 0.1))
        print("ready", flush=True)


if __name__ == "__main__":
    configure_logs("ERROR", stream=sys.stderr)
    asyncio.run(main(sys.argv[1]))
