"""The sender of the progress digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from adapters.github.errors import Gone, NotFound
from adapters.github.models import Issue
from config.escalation import ChannelName
from config.labels import DIGEST
from core.audit.events import Event, EventType
from core.digest import Digest
from core.effects.base import Notify, UpsertDigest
from core.texts.digest import DIGEST_MARKER, DIGEST_TITLE, digest_summary, digest_text
from engine.digest_data import digest_of
from engine.senders.context import SendContext, SendResult
from engine.senders.issues import add_to_repository


async def upsert_digest(effect: UpsertDigest, errand: SendContext) -> SendResult:
    """Draw the digest from the repository as it is now; one issue, edited in place.

    Nothing is written if nothing changed and no user edited it. An issue that a user closed is left alone.
    """
    policy = errand.repository.config
    if policy is None or not policy.digest.enabled:
        return SendResult(errand.remote_id, errand.content_hash)
    there = await _there(errand)
    if there is not None and there.state != "open":
        return SendResult(there.number, errand.content_hash)
    async with errand.database.transaction() as connection:
        drawn = await digest_of(connection, errand.repository, errand.now)
    if drawn is None:
        return SendResult(errand.remote_id, errand.content_hash)
    if there is not None and errand.content_hash == _seal(drawn, there):
        return SendResult(there.number, errand.content_hash)
    body = digest_text(drawn)
    if there is not None:
        written = await errand.github.update_issue(errand.name, there.number, body=body)
    else:
        await add_to_repository((DIGEST.name,), errand)
        written = await errand.github.create_issue(errand.name, title=DIGEST_TITLE, body=body, labels=[DIGEST.name])
    told = _messages(drawn, written, policy.escalation.channels) if effect.tells else ()
    return SendResult(written.number, _seal(drawn, written), events=(_posted(drawn, written.number),), effects=told)


async def _there(errand: SendContext) -> Issue | None:
    """Our digest issue: the one that we know, else one that we made and forgot; none if it was deleted."""
    if errand.remote_id is not None:
        try:
            return await errand.github.get_issue(errand.name, errand.remote_id)
        except (Gone, NotFound):
            return None
    found = await errand.github.list_issues(errand.name, labels=[DIGEST.name], state="all")
    return next((issue for issue in found if _is_ours(issue, errand.identity.bot_id)), None)


def _is_ours(issue: Issue, bot_id: int) -> bool:
    by_us = issue.user is not None and issue.user.id == bot_id
    return by_us and not issue.is_pull_request and DIGEST_MARKER in (issue.body or "")


def _seal(drawn: Digest, issue: Issue) -> str:
    """What is to be seen there and what stands there: when both are the same again, there is nothing to write."""
    body = (issue.body or "").replace("\r\n", "\n").strip()
    return f"{drawn.fingerprint}:{hashlib.sha256(body.encode(errors='surrogatepass')).hexdigest()}"


def _messages(drawn: Digest, issue: Issue, channels: Sequence[ChannelName]) -> tuple[Notify, ...]:
    """The digest in a line, on each channel."""
    topic, text = f"digest:{drawn.at.isoformat()}", digest_summary(drawn)
    url = issue.html_url
    return tuple(Notify(0, channel, topic, DIGEST_TITLE, text, drawn.at, url) for channel in channels)


def _posted(drawn: Digest, number: int) -> Event:
    counts = {group.value: count for group, count in drawn.counts.items()}
    return Event(EventType.PROGRESS_POSTED, number, drawn.at, payload={"counts": counts})
