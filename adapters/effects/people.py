"""Senders of what reaches people."""

from __future__ import annotations

import structlog

from adapters.effects.errand import Errand, Sent
from adapters.effects.issues import find_comment
from adapters.github.errors import Forbidden, Gone, Invalid, NotFound
from core.effects import CallPeople
from core.signals import PeopleCalled
from core.texts import comment_marker

log = structlog.get_logger()


async def call_people(effect: CallPeople, errand: Errand) -> Sent:
    """Mention people in a comment, once, and assign those who can be: GitHub leaves out the others by itself.

    The comment is the call. Where GitHub does not assign at all, that is no reason to write it again.
    """
    marker = comment_marker(errand.key)
    comment_id = await find_comment(effect.number, marker, errand) if errand.again else None
    if comment_id is None:
        written = await errand.github.create_comment(errand.name, effect.number, f"{effect.body}\n{marker}")
        comment_id = written.id
    told = PeopleCalled(effect.escalation, errand.now, comment_id)
    if effect.assign:
        try:
            await errand.github.add_assignees(errand.name, effect.number, effect.assign)
        except (Forbidden, Gone, Invalid, NotFound) as error:
            log.warning("nobody_assigned", issue=effect.number, reason=error.message)
    return Sent(comment_id, signals=((effect.number, told),))
