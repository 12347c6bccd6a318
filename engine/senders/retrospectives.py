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
from core.task.labels import TASK
from core.texts import comment_marker
from core.texts.retrospective import action_body, retrospective_body, retrospective_marker, retrospective_title
from engine import issue_reader
from engine.senders.context import SendContext, SendResult
from engine.senders.issues import add_to_repository


async def show_retrospective(effect: PublishRetrospective, errand: SendContext) -> SendResult:
    """One issue per retrospective: opened once, edited in place when there is something new to show."""
    async with errand.database.autocommit() as connection:
        held = await kept.find_by_key(connection, errand.repository.id, effect.retrospective)
    if held is None or errand.repository.config is None:
        return SendResult(errand.remote_id, errand.content_hash)
    body = retrospective_body(held)
    digest = hashlib.sha256(body.encode()).hexdigest()
    number = errand.remote_id or held.number
    if number is None and errand.again and (there := await _find(retrospective_marker(held.key), "", errand)):
        number = there.number
        if _text(there.body) == _text(body):
            return SendResult(number, digest, report=RetrospectiveOpened(held.key, number))
    if number is None:
        await add_to_repository((RETROSPECTIVE.name,), errand)
        issue = await errand.github.create_issue(
            errand.name, title=retrospective_title(held), body=body, labels=[RETROSPECTIVE.name]
        )
        number = issue.number
    elif digest != errand.content_hash:
        with contextlib.suppress(NotFound, Gone):  # a user deleted it: the retrospective stays as it was
            await errand.github.update_issue(errand.name, number, body=body)
    return SendResult(number, digest, report=RetrospectiveOpened(held.key, number))


async def open_task(effect: OpenTask, errand: SendContext) -> SendResult:
    """Open the issue of an action item once, and take it in as if the user who ticked it had added the label."""
    async with errand.database.autocommit() as connection:
        held = await kept.find_by_key(connection, errand.repository.id, effect.retrospective)
    action = held.action(effect.action) if held else None
    if held is None or action is None or action.task is not None:
        return SendResult(errand.remote_id)
    marker = comment_marker(errand.key)
    body = action_body(action, held, marker)
    issue = await _find(marker, TASK, errand) if errand.again else None
    if issue is None:
        await add_to_repository((TASK,), errand)
        issue = await errand.github.create_issue(errand.name, title=action.title, body=body, labels=[TASK])
    seen = await issue_reader.issue_seen(errand.database, errand.github, errand.repository, issue, errand.forecasts)
    # The user who ticked it approved the bot's text; a changed text has to be approved again.
    ours = (issue.title, _text(issue.body)) == (action.title, _text(body))
    signal = replace(seen, sender=effect.by, sender_can_write=ours, label=TASK, label_added=True)
    report = RetrospectiveOpened(held.key, issue.number, action.id)
    return SendResult(issue.number, signals=((issue.number, signal),), report=report)


async def _find(marker: str, label: str, errand: SendContext) -> Issue | None:
    """Our own issue with this marker as its last line, among those that were changed since it was to be written."""
    labels = [label] if label else []
    for issue in await errand.github.list_issues(errand.name, labels=labels, state="all", since=errand.created_at):
        last_line = (issue.body or "").rstrip().rpartition("\n")[2]
        if issue.user and issue.user.id == errand.identity.bot_id and last_line.strip() == marker:
            return issue
    return None


def _text(body: str | None) -> str:
    """A body as it reads, whatever GitHub made of its line ends."""
    return "\n".join(line.rstrip() for line in (body or "").splitlines()).strip()
