"""Calling people: whom, when again, and what counts as an answer. The one way in is `call_person`.

Whoever is called first is called at once. Silence climbs to the next level; when nobody new is left, the last ones are
called again, less and less often. An answer stops that, and the end of the cause closes the call
(`core.escalation.rules.ended`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.audit.events import EventType
from core.commands.registry import at_least
from core.decide.builder import Draft
from core.effects.base import CallPeople, Notify
from core.escalation.levels import Level, levels
from core.escalation.model import Cause, Escalation
from core.escalation.rules import steps_for, tried_on
from core.signals.base import PeopleCalled, PersonAnswered
from core.task.model import Flag
from core.text_safety.sanitize import defuse, one_line
from core.texts.escalation import escalation, notice_title, reminder

REPEATS = 3  # calls of those who were called already, each after twice the time; then once a day
DAY = timedelta(days=1)
KEPT_COMMENTS = 3  # of the latest calls, in which reactions are looked for


def call_person(draft: Draft, reason: str, cause: Cause, topic: str | None = None, by: str = "") -> None:
    """Only a person can help: flag the task, and call the first level.

    Of the same `topic` (if none is named: of this attempt and status) nobody is called twice while the call is open;
    one of another topic takes its place. `by` is who asked for a person.
    """
    task = draft.task
    topic = topic or f"{len(task.history)}:{task.status}"
    said = defuse(one_line(reason, 300))
    draft.task = task.flagged(Flag.NEEDS_HUMAN, said)
    known = task.escalation
    if known and known.topic == topic:
        draft.set(escalation=replace(known, reason=said))
        return
    if known:
        draft.tell(EventType.ESCALATION_ENDED, reason=known.reason, how="another cause")
    call = Escalation(
        cause=cause,
        reason=said,
        topic=topic,
        since=draft.context.heard_at,
        status=task.status.value,
        attempt=task.attempt,
        tried=tried_on(task),
        steps=steps_for(task, cause),
        by=by,
    )
    there = _levels(draft)
    level = there[0] if there else Level("", ())
    _call(draft, call, level, draft.now + draft.policy.escalation.timeout)


def call_again(draft: Draft) -> None:
    """Nobody answered in time: the next level, or the same people once more. Who answered is reminded."""
    call = draft.task.escalation
    if call is None:
        return
    if call.acknowledged_at:
        _remind(draft, call)
        return
    within = draft.policy.escalation.timeout
    for level in _levels(draft):
        fresh = tuple(who for who in level.people if not call.has_called(who))
        if fresh:
            _call(draft, call, replace(level, people=fresh), draft.now + within)
            return
    repeats = call.repeats + 1
    pause = within * 2**repeats if repeats < REPEATS else DAY
    again = Level(call.level, call.latest)
    _call(draft, replace(call, repeats=repeats), again, draft.now + min(pause, DAY))


def reached(draft: Draft, signal: PeopleCalled) -> None:
    """A call is where people see it."""
    call = draft.task.escalation
    if call is None or call.key != signal.escalation:
        return
    comments = (*call.comments, signal.comment_id) if signal.comment_id else call.comments
    draft.set(
        escalation=replace(
            call, delivered_at=call.delivered_at or signal.at, comments=tuple(dict.fromkeys(comments))[-KEPT_COMMENTS:]
        )
    )


def answered(draft: Draft, signal: PersonAnswered) -> None:
    """Somebody showed that they saw it. Words of those who can do nothing about it, or asked for it, are none."""
    call, login = draft.task.escalation, signal.actor.login
    if call is None or call.acknowledged_at or signal.actor.is_bot or login.casefold() == call.by.casefold():
        return
    if call.has_called(login) or at_least(signal.permission, "write"):
        acknowledge(draft, login, signal.how)


def acknowledge(draft: Draft, login: str, how: str) -> None:
    """Somebody sees to it: nobody else is called, and that person is reminded if it takes long."""
    call = draft.task.escalation
    draft.tell(EventType.ACKNOWLEDGED, actor=login, reason=draft.task.flags.get(Flag.NEEDS_HUMAN, ""), how=how)
    if call is not None:
        again = draft.now + draft.policy.timeouts.stall
        draft.set(escalation=replace(call, acknowledged_by=login, acknowledged_at=draft.now, next_at=again, repeats=0))


def solved(draft: Draft, how: str) -> None:
    """The open call is over, and the flag goes with it."""
    call = draft.task.escalation
    if call is not None:
        draft.tell(EventType.ESCALATION_ENDED, reason=call.reason, how=how)
    draft.set(escalation=None)
    draft.task = draft.task.unflagged(Flag.NEEDS_HUMAN)


def _levels(draft: Draft) -> tuple[Level, ...]:
    return levels(draft.task, draft.policy.escalation, draft.context.codeowners, draft.now)


def _call(draft: Draft, call: Escalation, level: Level, again: datetime) -> None:
    last = draft.now if call.calls else call.since
    number = call.calls + 1
    call = replace(
        call,
        level=level.name,
        called=tuple(dict.fromkeys((*call.called, *level.people))),
        latest=level.people,
        calls=number,
        next_at=again,
    )
    draft.set(escalation=call)
    draft.tell(EventType.ESCALATED, reason=call.reason, to=list(level.people), level=level.name, call=number)
    more = any(not call.has_called(who) for one in _levels(draft) for who in one.people)
    body = escalation(call, draft.now, more=more)
    people = tuple(who for who in level.people if "/" not in who)  # teams cannot be assigned
    draft.want(CallPeople(draft.task.number, call.key, number, body, people if not call.repeats else (), last))
    for channel in draft.policy.escalation.channels:
        draft.want(
            Notify(
                draft.task.number,
                channel,
                topic=f"{call.key}:{number}",
                title=notice_title(draft.task, call),
                text=call.reason,
                since=last,
                url=draft.task.url,
                tried=call.tried,
                steps=call.steps,
                people=call.latest,
                escalation=call.key,
            )
        )


def _remind(draft: Draft, call: Escalation) -> None:
    number = call.calls + 1
    draft.set(escalation=replace(call, calls=number, next_at=draft.now + DAY))
    body = reminder(call, draft.now)
    draft.want(CallPeople(draft.task.number, call.key, number, body, (), draft.now))
