"""Implements commands that only read."""

from __future__ import annotations

import re
from dataclasses import replace

from core.assignment.rules import assign, busy_reason, choice_from_event, missing_requirement, next_role
from core.conflicts.summary import conflict_sentences, trial_merge_text
from core.decide.builder import Context, DecisionBuilder
from core.decide.commands.base import CommandRejected, CommandResult
from core.decide.leases import current_choice
from core.intake.readiness import readiness_problems
from core.signals.base import CommandReceived
from core.stall.rules import stall_text, stall_timeout_text
from core.task.model import Status, Task
from core.texts import explain_text, status_text
from core.texts.matrix import matrix_text
from core.texts.replies import QueueRow, explain_attempt_text, history_text, next_text
from core.texts.retrospective import pending_question_text

MAX_HISTORY_EVENTS = 20  # events that `/history` shows
MAX_QUEUE_ROWS = 5  # rows that `/next` shows


def _refreshed_task(builder: DecisionBuilder) -> Task:
    """The task with its present dependencies; the stored ones may be outdated."""
    task, inputs = builder.task, builder.context.readiness_inputs
    if task.status is Status.PENDING:
        task = replace(task, readiness_problems=readiness_problems(task, inputs))
    choice = current_choice(builder)
    return replace(task, choice=choice) if choice else task


def show_status(builder: DecisionBuilder, signal: CommandReceived) -> str:
    """`/status`: the state of the task and what it waits for."""
    return status_text(
        _refreshed_task(builder), builder.policy, builder.context.config_problems, builder.context.command.dead_letters
    )


def explain_choice(builder: DecisionBuilder, signal: CommandReceived) -> str:
    """`/explain`: why the task has this agent, or none."""
    if argument := signal.argument.strip():
        return _explain_attempt(builder, argument)
    task = builder.task
    text = explain_text(_refreshed_task(builder), stall_timeout_text(task, builder.policy))
    reason = task.hold.description if task.hold and task.is_open else stall_text(task.stall) if task.stall else ""
    return f"{reason}\n\n{text}" if reason else text


def _explain_attempt(builder: DecisionBuilder, argument: str) -> str:
    """Why an earlier attempt went to its agent, from the audit log."""
    events = {event.attempt: event for event in builder.context.command.assignments if event.attempt is not None}
    match = re.fullmatch(r"(?:attempt\s+)?#?([0-9]{1,6})", argument, re.IGNORECASE)
    event = events.get(int(match[1])) if match else None
    if event is None:
        attempt_list = ", ".join(f"{number} (`{past_event.agent}`)" for number, past_event in sorted(events.items()))
        existing = f"The attempts so far: {attempt_list}." if attempt_list else "No attempt has started yet."
        problem = f"There is no attempt {match[1]}." if match else "Name an attempt by its number: `/explain 1`."
        raise CommandRejected(f"{problem} {existing}")
    return explain_attempt_text(event, choice_from_event(event))


def show_history(builder: DecisionBuilder, signal: CommandReceived) -> str:
    """`/history`: the end of the task's audit log."""
    events = builder.context.command.recent_events
    return history_text(events[-MAX_HISTORY_EVENTS:], has_more=len(events) > MAX_HISTORY_EVENTS)


def show_conflicts(context: Context, signal: CommandReceived, task: Task | None) -> CommandResult:
    """`/conflicts`: the conflicts of the open pull requests, and of this task."""
    conflicts = conflict_sentences(task, context.readiness_inputs.duplicates) if task else ()
    return CommandResult(
        matrix_text(
            context.command.open_pulls, context.command.pairs, task, conflicts, trial_merge_text(task) if task else None
        )
    )


def show_queue(context: Context, signal: CommandReceived, task: Task | None) -> CommandResult:
    """`/next`: the head of the queue."""
    queue, agents = context.command.queue, context.agents
    head = queue[:MAX_QUEUE_ROWS]
    policy = context.policy
    choices = assign([queued for queued, _ in head], agents, policy.scoring, context.now, policy.plan)
    rows = [
        QueueRow(queued.number, queued.title, queued.priority, _position_text(queued, dependents), choice.reason)
        for (queued, dependents), choice in zip(head, choices, strict=True)
    ]
    # For an agent, show the first task in the queue that it would get itself.
    asking_agent = next((agent for agent in agents if agent.name in (signal.agent_names or ())), None)
    next_number = None
    if asking_agent:
        suitable = (
            candidate
            for candidate, _ in queue
            if not missing_requirement(candidate, asking_agent, next_role(candidate, agents, policy.plan))
        )
        next_number = 0 if busy_reason(asking_agent) else next((candidate.number for candidate in suitable), 0)
    text = next_text(rows, len(queue), asking_agent.name if asking_agent else "", next_number)
    retrospective = context.command.latest_retrospective
    question = (
        retrospective.open_question(asking_agent.name)
        if asking_agent and retrospective and retrospective.number
        else None
    )
    return CommandResult(
        text
        if retrospective is None or question is None
        else f"{text}\n{pending_question_text(retrospective, question)}"
    )


def _position_text(task: Task, dependents: int) -> str:
    since = f"filed {task.created_at:%Y-%m-%d}"
    return f"{dependents} in a row wait for it; {since}" if dependents else since
