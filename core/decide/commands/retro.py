"""`/retro`: looking back at what was done, and an agent's answer to what it was asked."""

from __future__ import annotations

from collections.abc import Mapping

from core.decide.builder import Context
from core.decide.commands.base import Refused, RuleAnywhere, Told
from core.retro.model import hold, read_since
from core.signals.base import CommandGiven
from core.task.model import Task
from core.texts.retrospective import retro_answer


def _retro(context: Context, signal: CommandGiven, task: Task | None) -> Told:
    word, _, rest = signal.argument.strip().partition(" ")
    if word.lower() == "answer":
        return _answer(context, signal, rest)
    try:
        since = read_since(signal.argument, context.now)
    except ValueError as wrong:
        raise Refused(str(wrong)) from None
    held = hold(context.done, f"command:{signal.key}", context.now, since=since, by=signal.actor.login)
    if held is None:
        further = "that is not in an earlier retrospective. To look further back, comment `/retro since 7d`"
        raise Refused(f"No task was done {'since then' if since else further}.")
    dry_run = context.policy.dry_run
    return Told(retro_answer(held, dry_run=dry_run), retrospective=None if dry_run else held)


def _answer(context: Context, signal: CommandGiven, argument: str) -> Told:
    held = context.retrospective
    if held is None:
        raise Refused("There is no retrospective yet. To hold one, comment `/retro`.")
    agent, *said = argument.strip().split(None, 1)[:2] or ("",)
    agent = agent.strip("`").lower()
    asked = [question.agent for question in held.questions]
    if agent not in asked:
        names = ", ".join(f"`{name}`" for name in asked) or "nobody"
        raise Refused(f"Name the agent that answers: `/retro answer <agent> …`. The bot asked {names}.")
    answered = held.answered(agent, said[0] if said else "", signal.actor.login)
    if answered is None:
        raise Refused(f"The answer of `{agent}` is missing. Write it after the name.")
    return Told(None, retrospective=answered)


RULES_ANYWHERE: Mapping[str, RuleAnywhere] = {"retro": _retro}
