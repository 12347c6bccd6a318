"""Implements `/retro`: open a retrospective, or store an agent's answer to its question."""

from __future__ import annotations

from core.decide.builder import Context
from core.decide.commands.base import CommandRejected, CommandResult, first_word
from core.retro.model import build_retrospective, parse_since
from core.signals.base import CommandReceived
from core.task.model import Task
from core.texts.retrospective import retro_text


def hold_retrospective(context: Context, signal: CommandReceived, task: Task | None) -> CommandResult:
    """`/retro`: hold a retrospective, or store an agent's answer."""
    if first_word(signal.argument) == "answer":
        return _store_answer(context, signal)
    try:
        since = parse_since(signal.argument, context.now)
    except ValueError as error:
        raise CommandRejected(str(error)) from None
    retrospective = build_retrospective(
        context.command.retrospective_input,
        f"command:{signal.key}",
        context.now,
        since=since,
        requested_by=signal.actor.login,
    )
    if retrospective is None:
        scope = "that is not in an earlier retrospective. To look further back, comment `/retro since 7d`"
        raise CommandRejected(f"No task was done {'since then' if since else scope}.")
    dry_run = context.policy.dry_run
    return CommandResult(retro_text(retrospective, dry_run=dry_run), retrospective=None if dry_run else retrospective)


def _store_answer(context: Context, signal: CommandReceived) -> CommandResult:
    retrospective = context.command.retrospective
    if retrospective is None:
        raise CommandRejected("There is no retrospective yet. To hold one, comment `/retro`.")
    _, agent, answer = (*signal.argument.split(maxsplit=2), "", "")[:3]
    agent = agent.strip("`").lower()
    agents = [question.agent for question in retrospective.questions]
    if agent not in agents:
        names = ", ".join(f"`{name}`" for name in agents) or "no agent"
        raise CommandRejected(f"Name the agent that answers: `/retro answer <agent> …`. The bot asked {names}.")
    updated = retrospective.with_answer(agent, answer, signal.actor.login)
    if updated is None:
        raise CommandRejected(f"The answer of `{agent}` is missing. Write it after the name.")
    return CommandResult(None, retrospective=updated)
