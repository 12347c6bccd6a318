"""Implements commands that shape a task before work begins: readiness, priority, capabilities, holds."""

from __future__ import annotations

from core.assignment.rules import choose_agent, next_role
from core.commands.permissions import has_role
from core.decide.builder import DecisionBuilder
from core.decide.commands.base import CommandRejected, gaps_text
from core.decide.completion import evaluate_completion
from core.decide.holds import hold_task, release_hold
from core.decide.leases import grant_lease, handoff_packet
from core.decide.readiness import check_readiness
from core.intake.readiness import unknown_capabilities
from core.signals.base import CommandReceived
from core.task.model import Priority, Status
from core.texts import handoff_text
from core.texts.replies import prep_text


def approve_text(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/ready`: check the task again; a user with write access also approves its text."""
    task = builder.task
    can_approve = has_role(signal.permission, "write")
    # If the text was changed while an agent works on the task, it can still be approved.
    can_approve_text = task.is_open and can_approve and task.approved_digest != task.text_digest
    if task.status not in (Status.PENDING, Status.READY) and not can_approve_text:
        raise CommandRejected(f"The task is already {task.status}.")
    if can_approve:
        builder.update_task(approved_digest=task.text_digest, approved_by=signal.actor.login)
    check_readiness(builder)
    evaluate_completion(builder)
    if builder.task.status is Status.PENDING:
        raise CommandRejected(gaps_text("The task is not ready yet", builder.task.readiness_problems))


def set_priority(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/priority`: set the priority."""
    priority = signal.argument.strip().upper()
    if priority not in set(Priority):
        raise CommandRejected("Name a priority: `/priority P0`, `/priority P1` or `/priority P2`.")
    builder.update_task(priority=Priority(priority))


def preview_handoff(builder: DecisionBuilder, signal: CommandReceived) -> str:
    """Show the hand-off; changes nothing except what a new readiness check changes."""
    check_readiness(builder)
    task = builder.task
    if not task.is_open:
        raise CommandRejected(f"There is nothing to prepare: the task is {task.status}.")
    if task.readiness_problems:
        raise CommandRejected(gaps_text("The task is not ready yet", task.readiness_problems))
    agents = builder.context.agents
    role = next_role(task, agents, builder.policy.plan)
    choice = choose_agent(task, agents, builder.policy.scoring, builder.now, role)
    packet = handoff_packet(builder, grant_lease(builder, choice.agent or "no agent yet", role))
    wait_reasons = [f"The task waits for {', '.join(task.open_dependencies)}."] if task.open_dependencies else []
    wait_reasons += [task.hold.description] if task.hold else []
    return prep_text(handoff_text(packet), choice.reason, wait_reasons)


def add_capability(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/needs`: add a required capability."""
    capability = signal.argument.strip().strip("`").lower()
    capabilities = builder.context.readiness_inputs.capabilities
    if not capability:
        raise CommandRejected("Name a capability: `/needs python`.")
    if unknown := unknown_capabilities([capability], capabilities):
        raise CommandRejected(unknown[0])
    if capability in builder.task.required_capabilities:
        raise CommandRejected(f"The task already needs `{capability}`.")
    builder.update_task(required_capabilities=tuple(sorted({*builder.task.required_capabilities, capability})))
    check_readiness(builder)


def block_task(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/block`: hold the task."""
    reason = signal.argument.strip()
    if not reason:
        raise CommandRejected("Give a reason, so that people know when to lift the block: `/block legal has to agree`.")
    _hold_task(builder, signal, reason, paused=False)


def pause_task(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/pause`: hold the task and stop the clock of the attempt."""
    _hold_task(builder, signal, signal.argument, paused=True)
    # A comment gets 🚀; a button has nothing to react to.
    return f"#{builder.task.number} is paused. To continue, comment `/resume`." if signal.from_button else None


def _hold_task(builder: DecisionBuilder, signal: CommandReceived, reason: str, *, paused: bool) -> None:
    task = builder.task
    if not task.is_open:
        raise CommandRejected(f"There is nothing to put on hold: the task is {task.status}.")
    if task.hold and task.hold.is_paused != paused and not task.hold.is_forecast:
        raise CommandRejected(task.hold.description)
    hold_task(builder, signal.actor.login, reason, paused=paused)


def unblock_task(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/unblock`: lift `/block`."""
    return _release_hold(builder, signal, paused=False)


def resume_task(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """`/resume`: lift `/pause`."""
    return _release_hold(builder, signal, paused=True)


def _release_hold(builder: DecisionBuilder, signal: CommandReceived, *, paused: bool) -> str | None:
    current_hold = builder.task.hold
    if current_hold is None:
        raise CommandRejected(f"The task is not {'paused' if paused else 'blocked'}.{_waits_text(builder)}")
    if current_hold.is_paused != paused and not current_hold.is_forecast:
        raise CommandRejected(current_hold.description)
    release_hold(builder, signal.actor.login)
    return _waits_text(builder).strip() or None


def _waits_text(builder: DecisionBuilder) -> str:
    return f" The task waits for {', '.join(builder.task.open_dependencies)}." if builder.task.open_dependencies else ""
