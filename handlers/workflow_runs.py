"""Handles workflow runs of an agent's attempt; check suites report the runs of CI."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.agents.actions import task_of_run, to_signal
from adapters.database import store
from adapters.github.models import WorkflowRun
from core.signals.base import Signal
from engine.attempt_results import attempt_results
from handlers.context import Delivery, HandlerContext


async def on_workflow_run(delivery: Delivery, context: HandlerContext) -> None:
    """A workflow run was requested, started, or ended."""
    repository = await context.repository(delivery)
    if repository is None or repository.config is None:
        return
    workflow_run = WorkflowRun.model_validate(delivery.payload["workflow_run"])
    attempt_id = task_of_run(workflow_run)
    if attempt_id is None:
        return
    number, attempt = attempt_id
    async with context.work.database.autocommit() as connection:
        task = await store.load_task(connection, repository.id, number)
    if task is None:
        return
    results: Sequence[Signal] = ()
    if workflow_run.status == "completed":
        results = await attempt_results(
            context.work.database, context.github(repository), repository, task, attempt, context.result_secrets
        )
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        for signal in (*results, to_signal(workflow_run, attempt)):
            await unit.apply(number, signal)
