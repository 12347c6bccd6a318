"""Writes the texts of escalations and reminders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core.escalation.model import Escalation
from core.stall.model import Stall
from core.task.model import Lease, Task
from core.text_safety.sanitize import one_line
from core.texts.render import render


def escalation_comment(escalation: Escalation, now: datetime, *, more: bool) -> str:
    """Notifies the people of the present level: what happened, what was tried, what can be done; `more` people are
    left.
    """
    return render(
        "escalation",
        call=escalation,
        to=escalation.last_notified,
        again=escalation.notification_count > 1,
        now=now,
        more=more,
    )


def notification_title(task: Task, escalation: Escalation) -> str:
    """The subject of a message on an alert channel, in one line."""
    still = "still " if escalation.notification_count > 1 else ""
    return one_line(f"{task.repository}#{task.number} {still}needs a person: {task.title}", 200)


def reminder_comment(escalation: Escalation, now: datetime) -> str:
    """Reminds the person who answered that it is still not fixed."""
    return render(
        "reminder",
        call=escalation,
        waited=now - escalation.acknowledged_at if escalation.acknowledged_at else timedelta(),
    )


def agent_nudge_message(task: Task, stall: Stall, lease: Lease, now: datetime) -> str:
    """Tells a working agent that nothing has moved for long, what helps, and what happens otherwise."""
    return render("nudge_agent", task=task, stall=stall, lease=lease, now=now).strip()


def people_nudge_comment(stall: Stall, people: Sequence[str], steps: Sequence[str], now: datetime) -> str:
    """Tells people what waits for them, before an escalation."""
    return render("nudge_people", stall=stall, people=people, steps=steps, now=now)
