"""Implements commands for users with write access: who works on a task and what happens to it."""

from __future__ import annotations

from dataclasses import replace

from config.problems import quote
from config.team import suggest_agent
from core.assignment.rules import Agent, busy_reason, choose_agent, missing_requirement, next_role
from core.audit.events import EventType
from core.conflicts.summary import conflict_sentences
from core.decide.agents import on_assigned
from core.decide.attempts import end_attempt
from core.decide.builder import DecisionBuilder
from core.decide.commands.base import CommandRejected, gaps_text
from core.decide.commands.dependencies import queue_after
from core.decide.commands.rebase import rebase
from core.decide.completion import evaluate_completion
from core.decide.conflicts import IGNORE_PERIOD, ignore_conflict
from core.decide.escalation import acknowledge, close_escalation, escalate
from core.decide.readiness import check_readiness
from core.escalation.model import EscalationCause
from core.signals.base import Assigned, CommandReceived
from core.task.lifecycle import Trigger, can_apply
from core.task.model import Flag, Role, Status, Task
from core.text_safety.sanitize import defuse
from core.texts import format_duration

RESOLUTIONS = ("reassign", "queue", "escalate", "rebase", "ignore")  # options of `/resolve`


def reject_if_merged(task: Task) -> None:
    """Raises `CommandRejected` if the work is merged and so cannot be taken back."""
    if task.pull and task.pull.merged:
        raise CommandRejected(f"#{task.pull.number} is already merged. Close and reopen the issue to start over.")


def reject_if_not_assignable(task: Task, participle: str) -> None:
    """Raises `CommandRejected` if the task cannot be "claimed" or "assigned" now."""
    if task.readiness_problems and task.status is Status.PENDING:
        raise CommandRejected(gaps_text("The task is not ready yet", task.readiness_problems))
    if task.status is not Status.READY:
        raise CommandRejected(f"Only a ready task can be {participle}; this one is {task.status}.")
    if task.open_dependencies:
        raise CommandRejected(f"The task waits for {', '.join(task.open_dependencies)}.")
    if task.hold:
        raise CommandRejected(task.hold.description)


def start_over(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """Return the task to the queue and reset its attempts."""
    reject_if_merged(builder.task)
    if not builder.task.issue_open:
        raise CommandRejected("The issue is closed. Reopen it to start over.")
    end_attempt(builder, "retried", f"/retry by @{signal.actor.login}", counts_against_agent=False)
    builder.transition(Trigger.RETRIED)
    builder.update_task(retry_offset=len(builder.task.history), closed_by=None)
    builder.task = builder.task.without_flags(Flag.NEEDS_HUMAN, Flag.STALLED)
    check_readiness(builder)


def retry_task(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/retry`: start over."""
    task = builder.task
    if not can_apply(task.status, Trigger.RETRIED):
        raise CommandRejected(f"There is nothing to retry: the task is {task.status}.")
    start_over(builder, signal)


def assign_task(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/assign`: assign the task to the named agent."""
    task = builder.task
    agent = _resolve_agent(builder, signal.argument)
    if task.lease:
        holder = task.lease.agent
        if holder == agent.name:
            raise CommandRejected(f"`{holder}` already holds this task.")
        raise CommandRejected(f"`{holder}` holds this task. To move it, comment `/reassign {agent.name}`.")
    assign_to(builder, signal, agent)


def reassign_task(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/reassign`: give the task to another agent."""
    task = builder.task
    lease = task.lease
    if lease is None or not can_apply(task.status, Trigger.RELEASED):
        raise CommandRejected("No one holds this task. To give it to an agent, comment `/assign codex`.")
    reject_if_merged(task)
    agent = (
        _resolve_agent(builder, signal.argument) if signal.argument.strip() else _find_replacement(builder, lease.agent)
    )
    if agent.name == lease.agent:
        raise CommandRejected(f"`{agent.name}` already holds this task. To let it start over, comment `/retry`.")
    # A planner loses its plan with the task, so the same role is reassigned.
    if reason := missing_requirement(task, agent, lease.role) or busy_reason(agent):
        raise CommandRejected(f"`{agent.name}` cannot take this task: {reason}. `{lease.agent}` keeps it.")
    builder.add_event(EventType.TASK_RELEASED, actor=signal.actor.login, reason="reassigned")
    end_attempt(builder, "released", f"taken from {lease.agent} by @{signal.actor.login}", counts_against_agent=False)
    builder.transition(Trigger.RELEASED)
    check_readiness(builder)
    if builder.task.status is not Status.READY:
        return gaps_text("The task is back in the queue, but it is not ready now", builder.task.readiness_problems)
    assign_to(builder, signal, agent)
    return None


def _resolve_agent(builder: DecisionBuilder, argument: str) -> Agent:
    """The named agent. Raises `CommandRejected` with the nearest name if it is unknown."""
    name = argument.strip().strip("`").removeprefix("@")
    agents = {agent.name: agent for agent in builder.context.agents}
    if not name:
        raise CommandRejected(f"Name an agent. {suggest_agent('', agents)}")
    if name not in agents:
        raise CommandRejected(f"There is no agent {quote(name)}. {suggest_agent(name, agents)}")
    return agents[name]


def _find_replacement(builder: DecisionBuilder, excluded: str) -> Agent:
    """The best agent for the task except its holder."""
    others = [agent for agent in builder.context.agents if agent.name != excluded]
    role = builder.task.lease.role if builder.task.lease else Role.IMPLEMENT
    choice = choose_agent(builder.task, others, builder.policy.scoring, builder.now, role)
    best_agent = next((agent for agent in others if agent.name == choice.agent), None)
    if best_agent is None:
        raise CommandRejected(
            f"`{excluded}` keeps this task: {defuse(choice.reason)}. To return it to the queue, comment `/release`."
        )
    return best_agent


def assign_to(builder: DecisionBuilder, signal: CommandReceived, agent: Agent) -> None:
    """Assign the task to this agent if possible. A person's request outranks any score."""
    task = builder.task
    reject_if_not_assignable(task, "assigned")
    agents = builder.context.agents
    role = next_role(task, agents, builder.policy.plan)
    if role is Role.PLAN and missing_requirement(task, agent, role):
        role = Role.IMPLEMENT  # an agent that is assigned by name need not wait for a plan
    if reason := missing_requirement(task, agent, role) or busy_reason(agent):
        raise CommandRejected(f"`{agent.name}` cannot take this task: {reason}.")
    if builder.policy.dry_run:
        raise CommandRejected(f"Dry run: the bot would give this task to `{agent.name}`.")
    choice = choose_agent(task, agents, builder.policy.scoring, builder.now, role)
    login = signal.actor.login
    on_assigned(builder, Assigned(replace(choice, agent=agent.name, reason=f"{login} assigned it to {agent.name}")))


def resolve_conflict(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/resolve`: resolve the conflict as the argument says."""
    resolution, _, rest = signal.argument.strip().partition(" ")
    if resolution == "queue":
        return queue_after(builder, signal, rest)
    if resolution == "rebase":
        rebase(builder, signal)
        return None
    if resolution == "ignore":
        return _ignore_conflicts(builder, signal)
    if resolution not in ("reassign", "escalate"):
        raise CommandRejected(f"Name a resolution: `/resolve {'`, `/resolve '.join(RESOLUTIONS)}`.")
    conflicts = conflict_sentences(builder.task, builder.context.readiness_inputs.duplicates)
    if not conflicts:
        raise CommandRejected("There is no conflict to resolve.")
    reply = None
    if resolution == "reassign":
        reply = reassign_task(builder, replace(signal, argument=rest))
    else:
        call_person(builder, replace(signal, argument=rest or conflicts[0]))
    builder.add_event(EventType.CONFLICT_RESOLVED, actor=signal.actor.login, how=resolution)
    return reply


def _ignore_conflicts(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """Ignore the conflicts with other open pull requests for a day."""
    pull = builder.task.pull
    if pull and pull.open and pull.trial_merge and pull.trial_merge.clean is False:
        raise CommandRejected(f"A conflict with `{pull.base}` cannot be ignored because GitHub does not merge it.")
    conflicting_pulls = ignore_conflict(builder, signal.actor.login)
    if not conflicting_pulls:
        raise CommandRejected("The task waits for no other pull request.")
    evaluate_completion(builder)
    names = ", ".join(f"#{conflicting.pull}" for conflicting in conflicting_pulls)
    until = f"{builder.now + IGNORE_PERIOD:%Y-%m-%d %H:%M} UTC (for {format_duration(IGNORE_PERIOD)})"
    return (
        f"The bot ignores the conflict with {names} until {until}. "
        "The pull request that is merged second will need a fix."
    )


def call_person(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/escalate`: call for a person."""
    task = builder.task
    if Flag.NEEDS_HUMAN in task.flags:
        raise CommandRejected(f"The bot has already called for a person: {task.flags[Flag.NEEDS_HUMAN]}")
    if task.status is Status.DONE:
        raise CommandRejected("The task is done.")
    reason = signal.argument.strip() or f"{signal.actor.login} asked for a person"
    escalate(builder, reason, EscalationCause.REQUESTED, topic=signal.key, requested_by=signal.actor.login)


def acknowledge_call(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/ack`: acknowledge the call for a person."""
    task, escalation = builder.task, builder.task.escalation
    if Flag.NEEDS_HUMAN not in task.flags:
        raise CommandRejected("No call for a person is open, so there is nothing to acknowledge.")
    if escalation and escalation.acknowledged_at and escalation.cause is not EscalationCause.REQUESTED:
        raise CommandRejected(
            f"`{escalation.acknowledged_by}` has already acknowledged the call; "
            "it closes by itself when the cause is fixed."
        )
    builder.update_task(wait_restarted_at=builder.now)
    if escalation is None or not escalation.acknowledged_at:
        acknowledge(builder, signal.actor.login, "/ack")
    if escalation is None or escalation.cause is EscalationCause.REQUESTED:
        close_escalation(builder, "acknowledged")  # a person was requested, and one has answered
