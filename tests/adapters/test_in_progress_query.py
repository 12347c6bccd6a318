"""What is read of tasks under way is what the rules say of the tasks themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.database import store
from adapters.database.in_progress import list_in_progress
from core.conflicts.in_progress import in_progress_of, overlapping
from core.forecast.model import Forecast, PredictedFile
from core.signals.base import OverlapPredicted
from core.task.model import Flag, Priority, Role, Task
from tests.adapters.conftest import REPOSITORY
from tests.builders import NOW, Story

FORECAST = Forecast(
    (PredictedFile("shop/cart.py", 0.9, "named in the form"), PredictedFile("shop/tax.py", 0.2, "similar")), "d"
)


def _tasks() -> dict[str, Task]:
    """One task in each circumstance that matters."""
    held = Story().file_ready_task()
    held.apply(OverlapPredicted(3, ("a",), 0.9))
    failed_once = Story().file_ready_task().assign().start_run().report_run("completed", "failure")
    reviewed = Story().file_ready_task().reach_review()
    reviewed.report_trial_merge(changed_files=("shop/cart.py", "docs/a b.md"))
    paused = Story().file_ready_task().assign().start_run()
    paused.run_command("/pause")
    closed = Story().file_ready_task().reach_review()
    closed.see_pull(closed=True)
    merged = Story().file_ready_task().reach_review()
    merged.merge_pull()
    return {
        "new": Story().file_ready_task().task,
        "held": held.task,
        "at work": Story().file_ready_task().assign().start_run().task,
        "planning": Story().file_ready_task().assign(role=Role.PLAN).task,
        "tried": failed_once.task,
        "in review": reviewed.task,
        "paused": paused.task,
        "sent back": closed.task,
        "merged": merged.task,
        "withdrawn": replace(Story().file_ready_task().assign().task, untracked=True),
        "for a person": Story().file_ready_task().assign().start_run().task.with_flag(Flag.NEEDS_HUMAN, "look"),
        "without a forecast": replace(Story().file_ready_task().assign().task, forecast=None, priority=Priority.P0),
    }


async def test_rows_say_what_the_tasks_say(connection: Any) -> None:
    tasks = [
        replace(task, number=number, forecast=FORECAST if name != "without a forecast" else None)
        for number, (name, task) in enumerate(_tasks().items(), 1)
    ]
    for task in tasks:
        await store.save_task(connection, task, NOW)
    read = {one.number: one for one in await list_in_progress(connection, REPOSITORY)}
    for task in tasks:
        mine = in_progress_of(task)
        if task.number in read:
            row = read[task.number]
            assert replace(row, flags=sorted(row.flags)) == replace(mine, flags=sorted(mine.flags))
        else:
            assert not overlapping(mine), "no task that others wait for is left out"
    assert sum(map(overlapping, read.values())) >= 4
