"""What slash commands do. Who may use which is in the registry (`core.commands`); here is what they mean.

One file for each group of commands, each with its table of rules; here they are put together and carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from core.commands import COMMANDS, nearest, refusal
from core.decide.commands import asking, holding, shaping, steering, team
from core.decide.commands.answers import Refused, Rule, RuleAnywhere, Told
from core.decide.draft import Context, Decision, Draft
from core.effects import Comment, Effect, React
from core.events import EventType
from core.signals import CommandGiven
from core.task import Task
from core.texts import how_to_begin

RULES: Mapping[str, Rule] = {**asking.RULES, **holding.RULES, **shaping.RULES, **steering.RULES}
RULES_ANYWHERE: Mapping[str, RuleAnywhere] = {**asking.RULES_ANYWHERE, **team.RULES_ANYWHERE}


def given(task: Task | None, signal: CommandGiven, context: Context) -> Decision:
    """Carry out one command: an answer and 🚀, or 😕 with a reason."""
    draft = Draft(task, context) if task and not task.withdrawn else None
    try:
        told = _carry_out(task, draft, signal, context)
    except Refused as refused:
        return Decision(task, effects=_answer(signal, "confused", str(refused)))
    effects = (*told.effects, *_answer(signal, "rocket", told.text))
    if draft is None:
        return Decision(task, told.events, effects, team=told.team)
    draft.tell(EventType.COMMAND_RUN, actor=signal.actor.login, command=signal.name, argument=signal.argument)
    draft.events.extend(told.events)
    draft.want(*effects)
    return replace(draft.conclude(), team=told.team)


def _carry_out(task: Task | None, draft: Draft | None, signal: CommandGiven, context: Context) -> Told:
    """Ask who may, then the rule."""
    command = COMMANDS.get(signal.name)
    if command is None:
        raise Refused(_unknown(signal.name))
    if why := refusal(command, signal.actor, signal.permission, task, signal.family, signal.argument):
        raise Refused(why)
    if anywhere := RULES_ANYWHERE.get(command.name):
        return anywhere(context, signal, task)
    if draft is None:
        raise Refused(how_to_begin())
    return Told(RULES[command.name](draft, signal))


def _answer(signal: CommandGiven, reaction: Literal["rocket", "confused"], text: str | None) -> tuple[Effect, ...]:
    effects: list[Effect] = []
    if signal.comment_id is not None:
        effects.append(React(signal.comment_id, reaction))
    if text:
        effects.append(Comment(signal.number, f"answer:{signal.key}", text))
    return tuple(effects)


def _unknown(name: str) -> str:
    hint = f" Did you mean `/{near}`?" if (near := nearest(name)) else ""
    return f"There is no command `/{name}`.{hint} `/help` lists them all."
