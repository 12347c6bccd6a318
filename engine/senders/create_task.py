"""The sender that makes an issue a task: bound to the text that was decided on."""

from __future__ import annotations

from dataclasses import replace

from adapters.github.errors import Gone, Invalid, NotFound
from adapters.github.models import Issue
from core.decide.issues import text_digest
from core.effects.base import CreateTask
from core.signals.base import TaskCreated
from core.task.labels import TASK, is_task
from engine import issue_reader
from engine.senders.context import SendContext, SendResult
from engine.senders.issues import add_to_repository


async def make_task(effect: CreateTask, errand: SendContext) -> SendResult:
    """Give the issue the label `task` and the text, and take it in as if the asking user had added the label.

    GitHub has no "only if unchanged" for issues, so the issue is looked at right before it is written. What comes back
    is looked at too: an approval covers the text that was decided on and no other.
    """
    try:
        issue = await errand.github.get_issue(errand.name, effect.number)
        if problem := _blocking_reason(effect, issue):
            return _told(effect, problem)
        issue = await _written(effect, issue, errand)
    except (NotFound, Gone):
        return _told(effect, "The issue no longer exists in this repository.")
    except Invalid as refused:
        return _told(effect, f"GitHub refused the new text: {refused.message}")
    seen = await issue_reader.issue_seen(errand.database, errand.github, errand.repository, issue, errand.forecasts)
    signal = replace(
        seen,
        sender=effect.by,
        sender_can_write=effect.can_write and not _blocking_reason(effect, issue),
        label=TASK,
        label_added=True,
    )
    return SendResult(signals=((effect.number, signal), (effect.number, TaskCreated(effect))))


def _blocking_reason(effect: CreateTask, issue: Issue) -> str:
    """Why the issue is not what was decided on (or what we made of it, when an earlier try was done after all)."""
    if issue.state != "open":
        return "The issue was closed in the meantime. Reopen it first."
    if effect.body is not None and (issue.title, _text(issue.body)) == (effect.title, _text(effect.body)):
        return ""
    if text_digest(issue.title, issue.body or "") != effect.seen:
        command = f"/task {effect.template}".strip()
        return (
            "The issue was edited in the meantime, so the bot changed nothing. Check its text and comment "
            f"`{command}` again."
        )
    return ""


async def _written(effect: CreateTask, issue: Issue, errand: SendContext) -> Issue:
    """The issue as it is to be; what is so already is not written again."""
    body = effect.body if effect.body is not None and _text(issue.body) != _text(effect.body) else None
    labels = None if is_task(issue.label_names) else sorted({*issue.label_names, TASK})
    if body is None and labels is None:
        return issue
    if labels:
        await add_to_repository((TASK,), errand)
    return await errand.github.update_issue(errand.name, effect.number, body=body, labels=labels)


def _text(body: str | None) -> str:
    """A body as it reads, whatever GitHub made of its line ends."""
    return "\n".join(line.rstrip() for line in (body or "").splitlines()).strip()


def _told(effect: CreateTask, problem: str) -> SendResult:
    return SendResult(signals=((effect.number, TaskCreated(effect, problem)),))
