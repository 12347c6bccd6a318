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
from engine.digest_data import load_digest
from engine.senders.context import SendContext, SendResult
from engine.senders.issues import create_missing_labels


async def upsert_digest(effect: UpsertDigest, context: SendContext) -> SendResult:
    """Draw the digest from the repository as it is now; one issue, edited in place.

    Nothing is written if nothing changed and no user edited it. An issue that a user closed is left alone.
    """
    policy = context.repository.config
    if policy is None or not policy.digest.enabled:
        return SendResult(context.remote_id, context.content_hash)
    existing = await _find_issue(context)
    if existing is not None and existing.state != "open":
        return SendResult(existing.number, context.content_hash)
    async with context.database.transaction() as connection:
        digest = await load_digest(connection, context.repository, context.now)
    if digest is None:
        return SendResult(context.remote_id, context.content_hash)
    if existing is not None and context.content_hash == _content_hash(digest, existing):
        return SendResult(existing.number, context.content_hash)
    body = digest_text(digest)
    if existing is not None:
        issue = await context.github.update_issue(context.full_name, existing.number, body=body)
    else:
        await create_missing_labels((DIGEST.name,), context)
        issue = await context.github.create_issue(
            context.full_name, title=DIGEST_TITLE, body=body, labels=[DIGEST.name]
        )
    notifications = _digest_messages(digest, issue, policy.escalation.channels) if effect.notifies_channels else ()
    return SendResult(
        issue.number, _content_hash(digest, issue), events=(_posted_event(digest, issue.number),), effects=notifications
    )


async def _find_issue(context: SendContext) -> Issue | None:
    """Our digest issue: the one that we know, else one that we made and forgot; none if it was deleted."""
    if context.remote_id is not None:
        try:
            return await context.github.get_issue(context.full_name, context.remote_id)
        except (Gone, NotFound):
            return None
    issues = await context.github.list_issues(context.full_name, labels=[DIGEST.name], state="all")
    return next((issue for issue in issues if _is_ours(issue, context.identity.bot_id)), None)


def _is_ours(issue: Issue, bot_id: int) -> bool:
    is_by_us = issue.user is not None and issue.user.id == bot_id
    return is_by_us and not issue.is_pull_request and DIGEST_MARKER in (issue.body or "")


def _content_hash(digest: Digest, issue: Issue) -> str:
    """What is to be seen there and what stands there: when both are the same again, there is nothing to write."""
    body = (issue.body or "").replace("\r\n", "\n").strip()
    return f"{digest.fingerprint}:{hashlib.sha256(body.encode(errors='surrogatepass')).hexdigest()}"


def _digest_messages(digest: Digest, issue: Issue, channels: Sequence[ChannelName]) -> tuple[Notify, ...]:
    """The digest in a line, on each channel."""
    topic, text = f"digest:{digest.created_at.isoformat()}", digest_summary(digest)
    url = issue.html_url
    return tuple(Notify(0, channel, topic, DIGEST_TITLE, text, digest.created_at, url) for channel in channels)


def _posted_event(digest: Digest, number: int) -> Event:
    counts = {group.value: count for group, count in digest.counts.items()}
    return Event(EventType.PROGRESS_POSTED, number, digest.created_at, payload={"counts": counts})
