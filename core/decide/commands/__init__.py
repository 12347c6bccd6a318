"""Carries out slash commands. `registry` has the table of all commands; their rules are in the other modules."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from config.problems import nearest_word
from core.audit.events import Event, EventType
from core.commands.ordering import clicked_at, command_topics, is_superseded, record_instruction
from core.commands.permissions import is_lease_holder, permission_problem
from core.decide import escalation
from core.decide.builder import Context, Decision, DecisionBuilder
from core.decide.commands.base import CommandRejected, CommandResult, GlobalCommand, TaskCommand, reply
from core.decide.commands.registry import COMMANDS
from core.effects.base import Effect
from core.signals.base import CommandReceived, EscalationAnswered
from core.task.model import Task
from core.text_safety.sanitize import one_line
from core.texts import no_task_text

SUPERSEDED_TEXT = "Ignored: a newer command already changed this."


def on_command_received(task: Task | None, signal: CommandReceived, context: Context) -> Decision:
    """Carry out one command: an answer and 🚀, or 😕 with a reason."""
    builder = DecisionBuilder(task, context) if task and not task.untracked else None
    try:
        result = _run_command(task, builder, signal, context)
    except CommandRejected as rejection:
        # A refused command still supersedes earlier instructions.
        updated_task = (
            builder.task
            if builder and builder.previous and builder.task == _record_command(builder.previous, signal, context)
            else task
        )
        return Decision(updated_task, rejection.events, _reply(signal, "confused", str(rejection)))
    if result.reply_deferred:
        return Decision(task, result.events, result.effects)
    effects = (*result.effects, *_reply(signal, "rocket", result.text))
    if builder is None:
        return Decision(
            task,
            result.events,
            effects,
            team_changes=result.team_changes,
            agent_changes=result.agent_changes,
            retrospective=result.retrospective,
        )
    builder.add_event(
        EventType.COMMAND_RUN, actor=signal.actor.login, command=signal.name, argument=one_line(signal.argument)
    )
    builder.events.extend(result.events)
    builder.agent_changes.extend(result.agent_changes)
    builder.add_effect(*effects)
    if builder.previous and builder.previous.escalation:
        # A user who gives a command has seen the task, whatever the command.
        escalation.on_escalation_answered(
            builder, EscalationAnswered(signal.actor, signal.permission, f"/{signal.name}")
        )
    return replace(builder.build(), team_changes=result.team_changes, retrospective=result.retrospective)


def _run_command(
    task: Task | None, builder: DecisionBuilder | None, signal: CommandReceived, context: Context
) -> CommandResult:
    """Check the permission, then call the rule."""
    command = COMMANDS.get(signal.name)
    if command is None:
        raise CommandRejected(_unknown_command_text(signal.name))
    form_name, form = command.resolve_form(signal.argument)
    reason = permission_problem(form_name, form, signal.actor, signal.permission, task, signal.agent_names)
    if task and command.is_work_report and (reason or signal.agent_names is not None):
        _require_holder(task, signal, context)
    if reason:
        raise CommandRejected(reason)
    if builder is not None:
        if is_superseded(builder.task, command_topics(signal.name, signal.argument), signal.occurred_at):
            raise CommandRejected(SUPERSEDED_TEXT)
        builder.task = _record_command(builder.task, signal, context)
    match command:
        case GlobalCommand():
            return command.rule(context, signal, task)
        case TaskCommand() if builder is not None:
            return CommandResult(command.rule(builder, signal))
    raise CommandRejected(no_task_text())


def _record_command(task: Task, signal: CommandReceived, context: Context) -> Task:
    return record_instruction(
        task, command_topics(signal.name, signal.argument), signal.occurred_at or clicked_at(context.now)
    )


def _require_holder(task: Task, signal: CommandReceived, context: Context) -> None:
    """Reject and record a command of an agent about work that it does not hold (any more)."""
    lease = task.lease
    if is_lease_holder(lease, signal.actor, signal.agent_names) or is_lease_holder(
        task.review_lease, signal.actor, signal.agent_names
    ):
        return
    text = f"`{lease.agent}` holds this task now (attempt {lease.attempt})" if lease else "No one holds this task now"
    payload = {"command": signal.name, "reason": "the lease is not theirs"}
    event = Event(
        EventType.LATE_RESULT,
        task.number,
        context.now,
        lease.agent if lease else None,
        lease.attempt if lease else None,
        signal.actor.login,
        payload,
    )
    raise CommandRejected(f"{text}; only the holder can use `/{signal.name}`.", event)


def _reply(signal: CommandReceived, reaction: Literal["rocket", "confused"], text: str | None) -> tuple[Effect, ...]:
    if signal.note:
        text = f"{text}\n\n{signal.note}" if text else signal.note
    if text and signal.from_button:
        text = f"@{signal.actor.login}: {text}"
    return reply(signal.number, signal.key, signal.comment_id, reaction, text)


def _unknown_command_text(name: str) -> str:
    hint = f" Did you mean `/{suggestion}`?" if (suggestion := nearest_word(name, COMMANDS)) else ""
    return f"There is no command `/{name}`.{hint} `/help` lists all commands."
