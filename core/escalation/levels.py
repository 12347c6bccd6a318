"""Determines the people to notify, level by level: code owners, on-call, configured people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from config.escalation import EscalationSettings, OnCall
from core.escalation.codeowners import MAX_FILES, owners_of
from core.task.model import Task

OWNERS = "code owners"
ON_CALL = "on call"
CONFIGURED = "configured"
APPROVER = "approved the task"


@dataclass(frozen=True, slots=True)
class EscalationLevel:
    """People who are notified together: logins, or teams as `acme/maintainers`."""

    name: str
    people: tuple[str, ...]


def on_call_person(rota: OnCall, now: datetime) -> str:
    """Who is on call at `now` (aware). The rota changes at midnight of its zone, also across changes of summer time."""
    days = (now.astimezone(ZoneInfo(rota.zone)).date() - rota.start).days
    return rota.people[days // rota.rotation.days % len(rota.people)]


def relevant_files(task: Task) -> tuple[str, ...]:
    """The files of the task: those that its pull request changes, else those of the forecast."""
    if task.pull and task.pull.files:
        return task.pull.files[:MAX_FILES]
    return tuple(file.path for file in task.forecast.likely[:MAX_FILES]) if task.forecast else ()


def escalation_levels(
    task: Task, settings: EscalationSettings, codeowners: str, now: datetime
) -> tuple[EscalationLevel, ...]:
    """The levels that are not empty, in the order in which they are notified."""
    candidates = (
        EscalationLevel(OWNERS, owners_of(codeowners, relevant_files(task)) if codeowners else ()),
        EscalationLevel(ON_CALL, (on_call_person(settings.on_call, now),) if settings.on_call else ()),
        EscalationLevel(CONFIGURED, settings.fallback),
    )
    non_empty = tuple(level for level in candidates if level.people)
    if not non_empty and task.approved_by:
        return (EscalationLevel(APPROVER, (task.approved_by,)),)  # the writer who approved the task
    return non_empty
