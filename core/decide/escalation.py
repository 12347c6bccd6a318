"""Escalates to people: whom to notify, when again, and what counts as an answer.

`escalate` is the only entry point and notifies the first level at once. Without an answer the next level follows; after
the last level its people are notified again, less and less often. An answer stops that, and the end of the cause closes
the escalation (`core.escalation.rules.ended`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.audit.events import EventType
from core.commands.permissions import has_role
from core.decide.builder import DecisionBuilder
from core.effects.base import Escalate, Notify
from core.escalation.levels import EscalationLevel, escalation_levels
from core.escalation.model import Escalation, EscalationCause
from core.escalation.rules import attempt_summaries, suggest_actions
from core.signals.base import EscalationAnswered, EscalationDelivered
from core.task.model import Flag
from core.text_safety.sanitize import defuse, one_line
from core.texts.escalation import escalation_comment, notification_title, reminder_comment

MAX_REPEATS = 3  # repeated notifications, each after twice the time; then once a day
DAY = timedelta(days=1)
MAX_COMMENTS = 3  # latest notifications in which reactions are searched


def escalate(
    builder: DecisionBuilder, reason: str, cause: EscalationCause, topic: str | None = None, requested_by: str = ""
) -> None:
    """Only a person can help: flag the task and notify the first level.

    While an escalation on the same `topic` (by default: this attempt and status) is open, no one is notified twice; one
    on another topic replaces it. `requested_by` is the user who asked for a person.
    """
    task = builder.task
    topic = topic or f"{len(task.history)}:{task.status}"
    message = defuse(one_line(reason, 300))
    builder.task = task.with_flag(Flag.NEEDS_HUMAN, message)
    existing = task.escalation
    if existing and existing.topic == topic:
        builder.update_task(escalation=replace(existing, reason=message))
        return
    if existing:
        builder.add_event(EventType.ESCALATION_ENDED, reason=existing.reason, how="another cause")
    escalation = Escalation(
        cause=cause,
        reason=message,
        topic=topic,
        since=builder.context.received_at,
        status=task.status.value,
        attempt=task.attempt,
        attempted=attempt_summaries(task),
        suggestions=suggest_actions(task, cause),
        requested_by=requested_by,
    )
    all_levels = _levels(builder)
    level = all_levels[0] if all_levels else EscalationLevel("", ())
    _escalate_to(builder, escalation, level, builder.now + builder.policy.escalation.timeout)


def continue_escalation(builder: DecisionBuilder) -> None:
    """No answer in time: notify the next level, or the same people again. A person who answered is reminded."""
    escalation = builder.task.escalation
    if escalation is None:
        return
    if escalation.acknowledged_at:
        _remind(builder, escalation)
        return
    timeout = builder.policy.escalation.timeout
    for level in _levels(builder):
        new_people = tuple(login for login in level.people if not escalation.has_notified(login))
        if new_people:
            _escalate_to(builder, escalation, replace(level, people=new_people), builder.now + timeout)
            return
    repeats = escalation.repeat_count + 1
    pause = timeout * 2**repeats if repeats < MAX_REPEATS else DAY
    level_again = EscalationLevel(escalation.level, escalation.last_notified)
    _escalate_to(builder, replace(escalation, repeat_count=repeats), level_again, builder.now + min(pause, DAY))


def on_escalation_delivered(builder: DecisionBuilder, signal: EscalationDelivered) -> None:
    """Record that a notification is visible to people."""
    escalation = builder.task.escalation
    if escalation is None or escalation.key != signal.escalation_key:
        return
    comments = (*escalation.comment_ids, signal.comment_id) if signal.comment_id else escalation.comment_ids
    builder.update_task(
        escalation=replace(
            escalation,
            delivered_at=escalation.delivered_at or signal.occurred_at,
            comment_ids=tuple(dict.fromkeys(comments))[-MAX_COMMENTS:],
        )
    )


def on_escalation_answered(builder: DecisionBuilder, signal: EscalationAnswered) -> None:
    """Apply an answer. Comments of users who cannot help, or who asked for a person, do not count."""
    escalation, login = builder.task.escalation, signal.actor.login
    if (
        escalation is None
        or escalation.acknowledged_at
        or signal.actor.is_bot
        or login.casefold() == escalation.requested_by.casefold()
    ):
        return
    if escalation.has_notified(login) or has_role(signal.permission, "write"):
        acknowledge(builder, login, signal.answer_kind)


def acknowledge(builder: DecisionBuilder, login: str, method: str) -> None:
    """A person takes care: no one else is notified, and that person is reminded if it takes long."""
    escalation = builder.task.escalation
    builder.add_event(
        EventType.ACKNOWLEDGED, actor=login, reason=builder.task.flags.get(Flag.NEEDS_HUMAN, ""), how=method
    )
    if escalation is not None:
        reminder_at = builder.now + builder.policy.timeouts.stall
        builder.update_task(
            escalation=replace(
                escalation, acknowledged_by=login, acknowledged_at=builder.now, next_at=reminder_at, repeat_count=0
            )
        )


def close_escalation(builder: DecisionBuilder, resolution: str) -> None:
    """Close the open escalation and remove its flag."""
    escalation = builder.task.escalation
    if escalation is not None:
        builder.add_event(EventType.ESCALATION_ENDED, reason=escalation.reason, how=resolution)
    builder.update_task(escalation=None)
    builder.task = builder.task.without_flags(Flag.NEEDS_HUMAN)


def _levels(builder: DecisionBuilder) -> tuple[EscalationLevel, ...]:
    return escalation_levels(builder.task, builder.policy.escalation, builder.context.codeowners, builder.now)


def _escalate_to(builder: DecisionBuilder, escalation: Escalation, level: EscalationLevel, next_at: datetime) -> None:
    previous_at = builder.now if escalation.notification_count else escalation.since
    number = escalation.notification_count + 1
    escalation = replace(
        escalation,
        level=level.name,
        notified=tuple(dict.fromkeys((*escalation.notified, *level.people))),
        last_notified=level.people,
        notification_count=number,
        next_at=next_at,
    )
    builder.update_task(escalation=escalation)
    builder.add_event(
        EventType.ESCALATED, reason=escalation.reason, to=list(level.people), level=level.name, call=number
    )
    more = any(not escalation.has_notified(login) for one in _levels(builder) for login in one.people)
    body = escalation_comment(escalation, builder.now, more=more)
    people = tuple(login for login in level.people if "/" not in login)  # teams cannot be assigned
    builder.add_effect(
        Escalate(
            builder.task.number,
            escalation.key,
            number,
            body,
            people if not escalation.repeat_count else (),
            previous_at,
        )
    )
    for channel in builder.policy.escalation.channels:
        builder.add_effect(
            Notify(
                builder.task.number,
                channel,
                topic=f"{escalation.key}:{number}",
                title=notification_title(builder.task, escalation),
                text=escalation.reason,
                since=previous_at,
                url=builder.task.url,
                attempted=escalation.attempted,
                suggestions=escalation.suggestions,
                people=escalation.last_notified,
                escalation_key=escalation.key,
            )
        )


def _remind(builder: DecisionBuilder, escalation: Escalation) -> None:
    number = escalation.notification_count + 1
    builder.update_task(escalation=replace(escalation, notification_count=number, next_at=builder.now + DAY))
    body = reminder_comment(escalation, builder.now)
    builder.add_effect(Escalate(builder.task.number, escalation.key, number, body, (), builder.now))
