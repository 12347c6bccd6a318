"""What slash commands do. Who may use which is in the registry (`core.commands.registry`); here is what they mean.

One file for each group of commands, each with its table of rules; here they are put together and carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from config.problems import nearest
from core.audit.events import Event, EventType
from core.commands.ordering import is_overtaken, pressed_at, said, topics_of_command
from core.commands.registry import COMMANDS, holds, refusal
from core.decide import escalation
from core.decide.builder import Context, Decision, Draft
from core.decide.commands import (
    agents,
    dependencies,
    holder,
    maintainer,
    plan_review,
    queries,
    retro,
    task,
    task_settings,
)
from core.decide.commands.base import Refused, Rule, RuleAnywhere, Told, answer
from core.effects.base import Effect
from core.signals.base import CommandGiven, PersonAnswered
from core.task.model import Task
from core.text_safety.sanitize import one_line
from core.texts import how_to_begin

RULES: Mapping[str, Rule] = {
    **queries.RULES,
    **plan_review.RULES,
    **holder.RULES,
    **task_settings.RULES,
    **dependencies.RULES,
    **maintainer.RULES,
}
RULES_ANYWHERE: Mapping[str, RuleAnywhere] = {
    **queries.RULES_ANYWHERE,
    **task.RULES_ANYWHERE,
    **agents.RULES_ANYWHERE,
    **retro.RULES_ANYWHERE,
}


OVERTAKEN = "Ignored: a newer command already changed this."


def given(task: Task | None, signal: CommandGiven, context: Context) -> Decision:
    """Carry out one command: an answer and 🚀, or 😕 with a reason."""
    draft = Draft(task, context) if task and not task.withdrawn else None
    try:
        told = _carry_out(task, draft, signal, context)
    except Refused as refused:
        # It was said all the same: what was written before it counts no more.
        heard = draft.task if draft and draft.before and draft.task == _heard(draft.before, signal, context) else task
        return Decision(heard, refused.events, _answer(signal, "confused", str(refused)))
    if told.answered_later:
        return Decision(task, told.events, told.effects)
    effects = (*told.effects, *_answer(signal, "rocket", told.text))
    if draft is None:
        return Decision(
            task, told.events, effects, team=told.team, agents=told.agents, retrospective=told.retrospective
        )
    draft.tell(EventType.COMMAND_RUN, actor=signal.actor.login, command=signal.name, argument=one_line(signal.argument))
    draft.events.extend(told.events)
    draft.agents.extend(told.agents)
    draft.want(*effects)
    if draft.before and draft.before.escalation:
        # Whoever steers the task has looked at it, whatever the command.
        escalation.answered(draft, PersonAnswered(signal.actor, signal.permission, f"/{signal.name}"))
    return replace(draft.conclude(), team=told.team, retrospective=told.retrospective)


def _carry_out(task: Task | None, draft: Draft | None, signal: CommandGiven, context: Context) -> Told:
    """Ask who may, then the rule."""
    command = COMMANDS.get(signal.name)
    if command is None:
        raise Refused(_unknown(signal.name))
    why = refusal(command, signal.actor, signal.permission, task, signal.workers, signal.argument)
    if task and command.name in holder.OF_THE_WORK and (why or signal.workers is not None):
        _only_the_holder(task, signal, context)
    if why:
        raise Refused(why)
    if draft is not None:
        if is_overtaken(draft.task, topics_of_command(signal.name, signal.argument), signal.at):
            raise Refused(OVERTAKEN)
        draft.task = _heard(draft.task, signal, context)
    if anywhere := RULES_ANYWHERE.get(command.name):
        return anywhere(context, signal, task)
    if draft is None:
        raise Refused(how_to_begin())
    called, _ = command.use(signal.argument)
    rule = plan_review.RULES_OF_USES.get(called) or RULES[command.name]
    return Told(rule(draft, signal))


def _heard(task: Task, signal: CommandGiven, context: Context) -> Task:
    return said(task, topics_of_command(signal.name, signal.argument), signal.at or pressed_at(context.now))


def _only_the_holder(task: Task, signal: CommandGiven, context: Context) -> None:
    """An agent that speaks of work that is not its own (any more) is refused, and that is written down."""
    lease = task.lease
    if holds(lease, signal.actor, signal.workers) or holds(task.review, signal.actor, signal.workers):
        return
    text = f"`{lease.agent}` holds this task now (attempt {lease.attempt})" if lease else "No one holds this task now"
    payload = {"command": signal.name, "reason": "the lease is not theirs"}
    late = Event(
        EventType.LATE_RESULT,
        task.number,
        context.now,
        lease.agent if lease else None,
        lease.attempt if lease else None,
        signal.actor.login,
        payload,
    )
    raise Refused(f"{text}; only the holder can use `/{signal.name}`.", late)


def _answer(signal: CommandGiven, reaction: Literal["rocket", "confused"], text: str | None) -> tuple[Effect, ...]:
    if text and signal.pressed:
        text = f"@{signal.actor.login}: {text}"
    return answer(signal.number, signal.key, signal.comment_id, reaction, text)


def _unknown(name: str) -> str:
    hint = f" Did you mean `/{near}`?" if (near := nearest(name, COMMANDS)) else ""
    return f"There is no command `/{name}`.{hint} `/help` lists all commands."
