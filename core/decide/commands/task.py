"""Implements `/task`: make an issue a task and fill in missing sections from a template.

The text that the decision saw is filled in and approved. It is checked again before it is written, so the rule only
requests the change (`CreateTask`); the signal `TaskCreated` reports the result.
"""

from __future__ import annotations

from config.problems import nearest_word, quote
from config.task_templates import Templates, parse_template_name
from core.audit.events import EventType
from core.commands.permissions import has_role
from core.decide.builder import Context, Decision, DecisionBuilder
from core.decide.commands.base import CommandRejected, CommandResult, reply
from core.decide.issues import text_digest
from core.effects.base import CreateTask
from core.intake.templates import FilledTemplate, TemplateError, fill_template, matching_templates
from core.signals.base import CommandReceived, IssueFacts, TaskCreated
from core.task.labels import priority_from_labels
from core.task.model import Kind, Status, Task
from core.texts.replies import task_text


def create_task(context: Context, signal: CommandReceived, task: Task | None) -> CommandResult:
    """`/task`: request that the issue becomes a task."""
    issue, templates = signal.issue, context.command.templates
    current_task = None if task is None or task.untracked else task
    if issue is None:
        raise CommandRejected("Comment `/task` on an issue: a pull request cannot be a task.")
    if not issue.open:
        raise CommandRejected("The issue is closed. Reopen it first.")
    name = signal.argument.strip().partition(" ")[0].strip("`").lower()
    if not name and current_task:
        return CommandResult(
            task_text(
                status=current_task.status,
                suggested=_suggested_templates(issue, templates),
                broken=templates.invalid_files,
            )
        )
    if name and current_task and current_task.status not in (Status.PENDING, Status.READY):
        raise CommandRejected(f"The task is already {current_task.status}, and its agent works with the earlier text.")
    filled = FilledTemplate(issue.body)
    if name:
        filled = _fill_template(context, issue, name, current_task)
    is_empty = not (issue.intake.goal or issue.intake.criteria or issue.intake.notes)
    reply_text = task_text(
        template=name,
        is_own_template=name in templates.repository_names,
        headings=filled.headings,
        suggested=_suggested_templates(issue, templates) if is_empty and not name else (),
        broken=templates.invalid_files,
        dry_run=context.policy.dry_run,
    )
    if context.policy.dry_run or (current_task and not filled.headings):
        return CommandResult(reply_text)
    effect = CreateTask(
        number=signal.number,
        title=issue.title,
        text_digest=text_digest(issue.title, issue.body),
        body=filled.body if filled.headings else None,
        actor=signal.actor,
        can_write=has_role(signal.permission, "write"),
        command_key=signal.key,
        comment_id=signal.comment_id,
        template=name,
        kind=Kind(templates.by_name[name].kind) if name else None,
        reply=reply_text,
    )
    return CommandResult(None, effects=(effect,), reply_deferred=True)


def _fill_template(context: Context, issue: IssueFacts, name: str, current_task: Task | None) -> FilledTemplate:
    templates = context.command.templates
    if name not in templates.by_name:
        raise CommandRejected(_unknown_template_text(name, templates))
    # A priority from a label or a command outranks the one in the text.
    has_priority = current_task or priority_from_labels(issue.labels, context.policy.priorities)
    try:
        return fill_template(issue.body, templates.by_name[name], skipped_fields={"priority"} if has_priority else ())
    except TemplateError as error:
        raise CommandRejected(str(error)) from None


def _unknown_template_text(name: str, templates: Templates) -> str:
    for path, problem in templates.invalid_files.items():
        if parse_template_name(path).lower() == name:
            return task_text(broken={path: problem})
    suggestion = nearest_word(name, templates.by_name)
    hint = f"Did you mean `/task {suggestion}`? " if suggestion else ""
    names = ", ".join(f"`{template_name}`" for template_name in templates.by_name)
    reason = f"There is no template {quote(name)}. {hint}There are {names}."
    return f"{reason}\n\n{task_text(broken=templates.invalid_files)}".strip()


def _suggested_templates(issue: IssueFacts, templates: Templates) -> tuple[str, ...]:
    """The templates that fit the title; all templates if none fits."""
    return matching_templates(issue.title, templates.by_name) or tuple(templates.by_name)


def on_task_created(task: Task | None, signal: TaskCreated, context: Context) -> Decision:
    """Answer `/task` once its result is known."""
    effect = signal.effect
    if signal.problem or task is None or task.untracked:
        problem = signal.problem or "A person removed the label `task` in the meantime."
        return Decision(task, (), reply(effect.number, effect.command_key, effect.comment_id, "confused", problem))
    builder = DecisionBuilder(task, context)
    if effect.kind and not task.kind_overridden:
        reason = f"the template `{effect.template}` is of that class, and @{effect.actor.login} chose it"
        builder.update_task(kind=effect.kind, kind_overridden=True, kind_reason=reason)
    builder.add_event(EventType.COMMAND_RUN, actor=effect.actor.login, command="task", argument=effect.template)
    builder.add_effect(*reply(effect.number, effect.command_key, effect.comment_id, "rocket", effect.reply))
    return builder.build()
