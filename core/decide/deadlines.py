"""Handles due deadlines. The clock enters as a signal like everything else."""

from __future__ import annotations

from datetime import timedelta

from core.decide import stalls
from core.decide.agents import back_off
from core.decide.attempts import fail_attempt
from core.decide.builder import DecisionBuilder
from core.decide.escalation import continue_escalation
from core.decide.leases import current_choice
from core.effects.base import PollAgent, ReadChecks
from core.handoff.feedback import Feedback
from core.signals.base import AgentPollEmpty, DeadlineDue
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.model import Flag, Lease
from core.texts import format_duration


def on_deadline_due(builder: DecisionBuilder, signal: DeadlineDue) -> None:
    """A deadline is due; one that the task no longer has, or has later now, is ignored."""
    task = builder.task
    current = {deadline.kind: deadline.due_at for deadline in deadlines_of(task, builder.policy.timeouts)}
    kind = next((kind for kind in current if kind == signal.kind), None)
    if kind is None or signal.attempt != task.attempt or current[kind] > builder.now:
        return
    lease = task.find_lease(signal.attempt)
    match kind:
        case DeadlineKind.ACK if lease and _is_polling_worker(builder, lease):
            # It fetches its own work, and did not: it is away, which is no failure.
            duration = format_duration(builder.now - lease.since)
            back_off(builder, lease, f"it did not fetch its task within {duration}", cancel=True)
        case DeadlineKind.ACK if lease:
            _poll_or_fail(builder, lease, "did not start")
        case DeadlineKind.HEARTBEAT if lease:
            _poll_or_fail(builder, lease, "gave no sign of life")
        case DeadlineKind.ATTEMPT if lease:
            _fail_silent_agent(builder, lease, "did not finish", builder.policy.timeouts.attempt)
        case DeadlineKind.ESCALATION:
            continue_escalation(builder)
        case DeadlineKind.POLL if lease:
            # Separate from `polled_at`: a late response here is no reason to give up on the agent.
            builder.update_lease(lease, last_poll_at=builder.now)
            builder.add_effect(_poll_effect(builder, lease))
        case DeadlineKind.CI if task.pull:
            # The webhook may have been lost: read the checks. If none has started by now, there are none.
            builder.update_pull(checks_requested_at=builder.now)
            builder.add_effect(ReadChecks(task.number, task.pull.head_sha, is_final=True))
        case DeadlineKind.STALL:
            stalls.on_stall_due(builder)
        case DeadlineKind.QUEUE if not task.open_dependencies:
            builder.update_task(wait_restarted_at=builder.now)
            builder.task = builder.task.with_flag(Flag.STALLED, "The task is ready, but no agent has taken it.")
            choice, previous_choice = current_choice(builder), task.choice
            if choice and choice.agent is None and (previous_choice is None or previous_choice.reason != choice.reason):
                builder.update_task(choice=choice)  # the card is written anyway, so it shows the present choice
        case _:
            builder.update_task(wait_restarted_at=builder.now)


def _is_polling_worker(builder: DecisionBuilder, lease: Lease) -> bool:
    spec = builder.policy.agents.get(lease.agent)
    return spec is not None and spec.fetches_work


def on_agent_poll_empty(builder: DecisionBuilder, signal: AgentPollEmpty) -> None:
    """The agent was polled, and there was no sign of life."""
    if lease := builder.task.find_lease(signal.attempt):
        builder.update_lease(lease, silence_confirmed_at=builder.now)


def _poll_or_fail(builder: DecisionBuilder, lease: Lease, failure: str) -> None:
    """Poll a silent agent once, then fail the attempt; the agent is not at fault if it cannot be started or polled."""
    last_heard_at, polled_at = lease.silent_since, lease.silence_check_at
    if lease.started_at is None and lease.acknowledged_at is None:
        builder.update_lease(
            lease, silence_check_at=builder.now
        )  # the call waits in the outbox, and will be sent or given up
    elif (
        polled_at is not None
        and polled_at > last_heard_at
        and lease.silence_confirmed_at is not None
        and lease.silence_confirmed_at >= polled_at
    ):
        _fail_silent_agent(builder, lease, failure, builder.now - last_heard_at)
    else:
        builder.update_lease(lease, silence_check_at=builder.now)
        builder.add_effect(_poll_effect(builder, lease))


def _poll_effect(builder: DecisionBuilder, lease: Lease) -> PollAgent:
    return PollAgent(builder.task.number, lease.attempt, lease.agent, lease.session, lease.since, lease.role)


def _fail_silent_agent(builder: DecisionBuilder, lease: Lease, failure: str, duration: timedelta) -> None:
    time_limit = f"within {format_duration(duration)}"
    feedback = Feedback(
        key=f"silent:{lease.attempt}",
        title=f"{lease.agent} {failure}",
        details=f"`{lease.agent}` {failure} {time_limit}. Any commits it pushed are on the branch `{lease.branch}`.",
        created_at=builder.now,
    )
    fail_attempt(builder, lease, feedback, outcome="silent", details=time_limit)
