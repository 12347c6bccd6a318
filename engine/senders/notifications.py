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


async def escalate(effect: Escalate, context: SendContext) -> SendResult:
    """Mention people in a comment, once, and assign those who can be: GitHub leaves out the others by itself.

    The comment is the call. Where GitHub does not assign at all, that is no reason to write it again.
    """
    marker = comment_marker(context.key)
    comment_id = await find_comment(effect.number, marker, context) if context.is_retry else None
    if comment_id is None:
        comment = await context.github.create_comment(context.full_name, effect.number, f"{effect.body}\n{marker}")
        comment_id = comment.id
    signal = EscalationDelivered(effect.escalation_key, context.now, comment_id)
    if effect.assignees:
        try:
            await context.github.add_assignees(context.full_name, effect.number, effect.assignees)
        except (Forbidden, Gone, Invalid, NotFound) as error:
            log.warning("assignee_not_added", issue=effect.number, reason=error.message)
    return SendResult(comment_id, conflict_report=((effect.number, signal),))


async def notify(effect: Notify, context: SendContext) -> SendResult:
    """Send a message on its channel."""
    message = Message(
        key=context.key,
        repository=context.full_name,
        number=effect.number,
        title=effect.title,
        text=effect.text,
        url=effect.url,
        since=effect.since,
        sent_at=context.now,
        attempted=effect.attempted,
        suggestions=effect.suggestions,
        people=effect.people,
    )
    try:
        await context.alerts.send(effect.channel, message)
    except Busy as busy:
        raise CircuitOpen(str(busy), context.now + busy.retry_after) from None
    signals = (
        ((effect.number, EscalationDelivered(effect.escalation_key, context.now)),) if effect.escalation_key else ()
    )
    return SendResult(conflict_report=signals)
