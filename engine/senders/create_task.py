"""The sender that makes an issue a task: bound to the text that was decided on."""

from __future__ import annotations

from dataclasses import replace

from adapters.github.errors import Gone, Invalid, NotFound
from adapters.github.models import Issue
from core.decide.issues import text_digest
from core.effects.base import CreateTask
from core.signals.base import TaskCreated
from core.task.labels import TASK_LABEL, is_task
from engine import issue_reader
from engine.senders.context import SendContext, SendResult
from engine.senders.issues import create_missing_labels


async def create_task(effect: CreateTask, context: SendContext) -> SendResult:
    """Give the issue the label `task` and the text, and take it in as if the asking user had added the label.

    GitHub has no "only if unchanged" for issues, so the issue is looked at right before it is written. What comes back
    is looked at too: an approval covers the text that was decided on and no other.
    """
    try:
        issue = await context.github.get_issue(context.full_name, effect.number)
        if problem := _blocking_reason(effect, issue):
            return _task_created(effect, problem)
        issue = await _update_issue(effect, issue, context)
    except (NotFound, Gone):
        return _task_created(effect, "The issue no longer exists in this repository.")
    except Invalid as error:
        return _task_created(effect, f"GitHub refused the new text: {error.message}")
    issue_seen = await issue_reader.make_issue_seen(
        context.database, context.github, context.repository, issue, context.forecasts
    )
    signal = replace(
        issue_seen,
        sender=effect.actor,
        sender_can_write=effect.can_write and not _blocking_reason(effect, issue),
        label=TASK_LABEL,
        label_added=True,
    )
    return SendResult(conflict_report=((effect.number, signal), (effect.number, TaskCreated(effect))))


def _blocking_reason(effect: CreateTask, issue: Issue) -> str:
    """Why the issue is not what was decided on (or what we made of it, when an earlier try was done after all)."""
    if issue.state != "open":
        return "The issue was closed in the meantime. Reopen it first."
    if effect.body is not None and (issue.title, _normalize_body(issue.body)) == (
        effect.title,
        _normalize_body(effect.body),
    ):
        return ""
    if text_digest(issue.title, issue.body or "") != effect.text_digest:
        command = f"/task {effect.template}".strip()
        return (
            "The issue was edited in the meantime, so the bot changed nothing. Check its text and comment "
            f"`{command}` again."
        )
    return ""


async def _update_issue(effect: CreateTask, issue: Issue, context: SendContext) -> Issue:
    """The issue as it is to be; what is so already is not written again."""
    body = (
        effect.body if effect.body is not None and _normalize_body(issue.body) != _normalize_body(effect.body) else None
    )
    labels = None if is_task(issue.label_names) else sorted({*issue.label_names, TASK_LABEL})
    if body is None and labels is None:
        return issue
    if labels:
        await create_missing_labels((TASK_LABEL,), context)
    return await context.github.update_issue(context.full_name, effect.number, body=body, labels=labels)


def _normalize_body(body: str | None) -> str:
    """A body as it reads, whatever GitHub made of its line ends."""
    return "\n".join(line.rstrip() for line in (body or "").splitlines()).strip()


def _task_created(effect: CreateTask, problem: str) -> SendResult:
    return SendResult(conflict_report=((effect.number, TaskCreated(effect, problem)),))
