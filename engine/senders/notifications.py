"""Senders of what reaches people."""

from __future__ import annotations

import structlog

from adapters.alerts import Busy, Message
from adapters.github.errors import Forbidden, Gone, Invalid, NotFound
from core.effects.base import Escalate, Notify
from core.signals.base import EscalationDelivered
from core.texts import comment_marker
from engine.senders.circuit_breaker import CircuitOpen
from engine.senders.context import SendContext, SendResult
from engine.senders.issues import find_comment

log = structlog.get_logger()


async def call_people(effect: Escalate, errand: SendContext) -> SendResult:
    """Mention people in a comment, once, and assign those who can be: GitHub leaves out the others by itself.

    The comment is the call. Where GitHub does not assign at all, that is no reason to write it again.
    """
    marker = comment_marker(errand.key)
    comment_id = await find_comment(effect.number, marker, errand) if errand.again else None
    if comment_id is None:
        written = await errand.github.create_comment(errand.name, effect.number, f"{effect.body}\n{marker}")
        comment_id = written.id
    told = EscalationDelivered(effect.escalation, errand.now, comment_id)
    if effect.assign:
        try:
            await errand.github.add_assignees(errand.name, effect.number, effect.assign)
        except (Forbidden, Gone, Invalid, NotFound) as error:
            log.warning("assignee_not_added", issue=effect.number, reason=error.message)
    return SendResult(comment_id, signals=((effect.number, told),))


async def notify(effect: Notify, errand: SendContext) -> SendResult:
    """Send a message on its channel."""
    message = Message(
        key=errand.key,
        repository=errand.name,
        number=effect.number,
        title=effect.title,
        text=effect.text,
        url=effect.url,
        since=effect.since,
        sent_at=errand.now,
        tried=effect.tried,
        steps=effect.steps,
        people=effect.people,
    )
    try:
        await errand.alerts.send(effect.channel, message)
    except Busy as busy:
        raise CircuitOpen(str(busy), errand.now + busy.after) from None
    told = ((effect.number, EscalationDelivered(effect.escalation, errand.now)),) if effect.escalation else ()
    return SendResult(signals=told)
