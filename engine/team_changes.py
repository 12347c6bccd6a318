"""Saves what people change of agents by command, and finds the tasks whose readiness that changes."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.database import repositories, store
from config.team import AgentOverride
from core.effects.base import EnsureLabels
from core.signals.base import DependencyChanged
from core.task.labels import capabilities_of, offered_labels
from core.task.model import Status
from engine.session import NoConfiguration, NumberedSignal, Session


async def change_team(session: Session, changes: Mapping[str, AgentOverride]) -> list[NumberedSignal]:
    """Save the changes. They count at once: no restart is needed, and tasks in progress continue."""
    before = session.policy
    for name, change in changes.items():
        await repositories.save_team_change(session.connection, session.repository.id, name, change)
    row = await repositories.load_repository(session.connection, session.repository.id)
    if row is None:
        raise NoConfiguration(session.repository.full_name)
    session.use_repository(row)
    session.team_changed = True
    if set(offered_labels(session.policy)) - set(offered_labels(before)):
        await session.enqueue_effects(0, EnsureLabels(offered_labels(session.policy)))
    capabilities_before, capabilities = capabilities_of(before), capabilities_of(session.policy)
    if capabilities_before == capabilities:
        return []
    tasks = await store.tasks_with_status(
        await session.flushed_connection(), session.repository.id, [Status.PENDING, Status.READY]
    )
    return [
        (task.number, DependencyChanged(task.number))
        for task in tasks
        if bool(set(task.required_capabilities) - capabilities_before)
        != bool(set(task.required_capabilities) - capabilities)
    ]
