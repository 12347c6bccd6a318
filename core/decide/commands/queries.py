"""Commands by which anybody asks; they change nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from core.assignment.rules import assign, busy, part_of, recalled, unfit
from core.conflicts.summary import conflicts_of, trial_of
from core.decide.builder import Context, Draft
from core.decide.commands.base import Refused, Rule, RuleAnywhere, Told
from core.decide.leases import choice_now
from core.intake.readiness import missing
from core.signals.base import CommandGiven
from core.stall.rules import patience_text, said
from core.task.model import Status, Task
from core.texts import explain, help_text, status_text
from core.texts.matrix import matrix_text
from core.texts.replies import QueueRow, explained, history, next_text
from core.texts.retrospective import asked_in

HISTORY_LINES = 20  # of the audit trail that `/history` shows
QUEUE_LINES = 5  # of the queue that `/next` shows


def _help(context: Context, signal: CommandGiven, task: Task | None) -> Told:
    return Told(help_text())


def _as_it_is(draft: Draft) -> Task:
    """The task with what it waits for, as that is now. What is stored was true when the task was last told of it."""
    task, around = draft.task, draft.context.around
    if task.status is Status.PENDING:
        task = replace(task, missing=missing(task, around))
    now = choice_now(draft)
    return replace(task, choice=now) if now else task


def _status(draft: Draft, signal: CommandGiven) -> str:
    return status_text(_as_it_is(draft), draft.policy, draft.context.config_problems, draft.context.given_up)


def _explain(draft: Draft, signal: CommandGiven) -> str:
    if argument := signal.argument.strip():
        return _explain_attempt(draft, argument)
    task = draft.task
    told = explain(_as_it_is(draft), patience_text(task, draft.policy))
    why = task.held.said if task.held and task.is_open else said(task.stall) if task.stall else ""
    return f"{why}\n\n{told}" if why else told


def _explain_attempt(draft: Draft, argument: str) -> str:
    """Why an earlier attempt went to whom it went, as the audit trail has it."""
    there = {event.attempt: event for event in draft.context.trail if event.attempt is not None}
    found = re.fullmatch(r"(?:attempt\s+)?#?([0-9]{1,6})", argument, re.IGNORECASE)
    event = there.get(int(found[1])) if found else None
    if event is None:
        every = ", ".join(f"{number} (`{one.agent}`)" for number, one in sorted(there.items()))
        known = f"The attempts so far: {every}." if every else "No attempt has started yet."
        what = f"There is no attempt {found[1]}." if found else "Name an attempt by its number: `/explain 1`."
        raise Refused(f"{what} {known}")
    return explained(event, recalled(event))


def _history(draft: Draft, signal: CommandGiven) -> str:
    trail = draft.context.trail
    return history(trail[-HISTORY_LINES:], more=len(trail) > HISTORY_LINES)


def _conflicts(context: Context, signal: CommandGiven, task: Task | None) -> Told:
    known = conflicts_of(task, context.around.twins) if task else ()
    return Told(matrix_text(context.flights, context.pairs, task, known, trial_of(task) if task else None))


def _next(context: Context, signal: CommandGiven, task: Task | None) -> Told:
    queue, agents = context.queue, context.agents
    head = queue[:QUEUE_LINES]
    policy = context.policy
    choices = assign([queued for queued, _ in head], agents, policy.scoring, context.now, policy.plan)
    rows = [
        QueueRow(queued.number, queued.title, queued.priority, _place(queued, behind), choice.reason)
        for (queued, behind), choice in zip(head, choices, strict=True)
    ]
    # An agent that asks is told what it would get itself: the first task in the queue that it could do.
    asks = next((agent for agent in agents if agent.name in (signal.workers or ())), None)
    mine = None
    if asks:
        fitting = (t for t, _ in queue if not unfit(t, asks, part_of(t, agents, policy.plan)))
        mine = 0 if busy(asks) else next((t.number for t in fitting), 0)
    told = next_text(rows, len(queue), asks.name if asks else "", mine)
    held = context.retrospective
    question = held.unanswered(asks.name) if asks and held and held.number else None
    return Told(told if held is None or question is None else f"{told}\n{asked_in(held, question)}")


def _place(task: Task, behind: int) -> str:
    since = f"filed {task.created_at:%Y-%m-%d}"
    return f"{behind} in a row wait for it; {since}" if behind else since


RULES: Mapping[str, Rule] = {"status": _status, "explain": _explain, "history": _history}
RULES_ANYWHERE: Mapping[str, RuleAnywhere] = {"help": _help, "next": _next, "conflicts": _conflicts}
