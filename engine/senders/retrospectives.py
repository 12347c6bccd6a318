"""Senders of what retrospectives want: their own issue, and the tasks that their action items become."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace

from adapters.database import retrospectives as kept
from adapters.github.errors import Gone, NotFound
from adapters.github.models import Issue
from config.labels import RETROSPECTIVE
from core.retro.effects import OpenTask, PublishRetrospective
from core.retro.model import RetrospectiveOpened
from core.task.labels import TASK_LABEL
from core.texts import comment_marker
from core.texts.retrospective import action_body, retrospective_body, retrospective_marker, retrospective_title
from engine import issue_reader
from engine.senders.context import SendContext, SendResult
from engine.senders.issues import create_missing_labels


async def publish_retrospective(effect: PublishRetrospective, context: SendContext) -> SendResult:
    """One issue per retrospective: opened once, edited in place when there is something new to show."""
    async with context.database.autocommit() as connection:
        retrospective = await kept.find_by_key(connection, context.repository.id, effect.retrospective_key)
    if retrospective is None or context.repository.config is None:
        return SendResult(context.remote_id, context.content_hash)
    body = retrospective_body(retrospective)
    content_hash = hashlib.sha256(body.encode()).hexdigest()
    number = context.remote_id or retrospective.number
    if (
        number is None
        and context.is_retry
        and (existing := await _find_issue(retrospective_marker(retrospective.key), "", context))
    ):
        number = existing.number
        if _normalize_body(existing.body) == _normalize_body(body):
            return SendResult(number, content_hash, report=RetrospectiveOpened(retrospective.key, number))
    if number is None:
        await create_missing_labels((RETROSPECTIVE.name,), context)
        issue = await context.github.create_issue(
            context.full_name, title=retrospective_title(retrospective), body=body, labels=[RETROSPECTIVE.name]
        )
        number = issue.number
    elif content_hash != context.content_hash:
        with contextlib.suppress(NotFound, Gone):  # a user deleted it: the retrospective stays as it was
            await context.github.update_issue(context.full_name, number, body=body)
    return SendResult(number, content_hash, report=RetrospectiveOpened(retrospective.key, number))


async def open_task(effect: OpenTask, context: SendContext) -> SendResult:
    """Open the issue of an action item once, and take it in as if the user who ticked it had added the label."""
    async with context.database.autocommit() as connection:
        retrospective = await kept.find_by_key(connection, context.repository.id, effect.retrospective_key)
    action = retrospective.find_action(effect.action_id) if retrospective else None
    if retrospective is None or action is None or action.task_number is not None:
        return SendResult(context.remote_id)
    marker = comment_marker(context.key)
    body = action_body(action, retrospective, marker)
    issue = await _find_issue(marker, TASK_LABEL, context) if context.is_retry else None
    if issue is None:
        await create_missing_labels((TASK_LABEL,), context)
        issue = await context.github.create_issue(context.full_name, title=action.title, body=body, labels=[TASK_LABEL])
    issue_seen = await issue_reader.make_issue_seen(
        context.database, context.github, context.repository, issue, context.forecasts
    )
    # The user who ticked it approved the bot's text; a changed text has to be approved again.
    is_our_text = (issue.title, _normalize_body(issue.body)) == (action.title, _normalize_body(body))
    signal = replace(issue_seen, sender=effect.actor, sender_can_write=is_our_text, label=TASK_LABEL, label_added=True)
    report = RetrospectiveOpened(retrospective.key, issue.number, action.id)
    return SendResult(issue.number, conflict_report=((issue.number, signal),), report=report)


async def _find_issue(marker: str, label: str, context: SendContext) -> Issue | None:
    """Our own issue with this marker as its last line, among those that were changed since it was to be written."""
    labels = [label] if label else []
    for issue in await context.github.list_issues(
        context.full_name, labels=labels, state="all", since=context.created_at
    ):
        last_line = (issue.body or "").rstrip().rpartition("\n")[2]
        if issue.user and issue.user.id == context.identity.bot_id and last_line.strip() == marker:
            return issue
    return None


def _normalize_body(body: str | None) -> str:
    """A body as it reads, whatever GitHub made of its line ends."""
    return "\n".join(line.rstrip() for line in (body or "").splitlines()).strip()
