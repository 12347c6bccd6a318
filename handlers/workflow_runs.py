"""Workflow runs that carry an agent's attempt. Those of CI are heard of by their check suites."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.agents.actions import identify, news_of
from adapters.database import store
from adapters.github.models import WorkflowRun
from core.signals.base import Signal
from engine.attempt_results import left_behind
from handlers.context import Delivery, Desk


async def run(delivery: Delivery, desk: Desk) -> None:
    """A workflow run was requested, began, or ended."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    told = WorkflowRun.model_validate(delivery.payload["workflow_run"])
    named = identify(told)
    if named is None:
        return
    number, attempt = named
    async with desk.work.database.autocommit() as connection:
        task = await store.task(connection, repository.id, number)
    if task is None:
        return
    found: Sequence[Signal] = ()
    if told.status == "completed":
        found = await left_behind(desk.work.database, desk.github(repository), repository, task, attempt, desk.answers)
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        for signal in (*found, news_of(told, attempt)):
            await unit.apply(number, signal)
