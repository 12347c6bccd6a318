"""Grants leases and seals the hand-off packet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.assignment.rules import choose_agent, next_role, without_failures
from core.decide.builder import DecisionBuilder
from core.effects.base import StartAgent
from core.handoff.packet import build_packet
from core.intake.references import branch_name
from core.review.definition_of_done import needs_reviewer
from core.task.model import Actor, AssignmentDecision, LearnedTimeout, Lease, Role, Task


def grant_lease(
    builder: DecisionBuilder,
    agent: str,
    role: Role,
    holder: Actor | None = None,
    patience: LearnedTimeout | None = None,
) -> Lease:
    """Create a lease for an agent, or a person (`holder`), with the next attempt number as its fencing token.

    The caller stores it in the task. Its branch is the branch of the work; for a plan or review it only names the run.
    """
    attempt = builder.task.attempt + 1
    spec = builder.policy.agents.get(agent)
    return Lease(
        agent=agent,
        attempt=attempt,
        branch=branch_name(builder.task.number, attempt),
        since=builder.now,
        acknowledged_at=builder.now if holder else None,
        holder_id=holder.id if holder else None,
        poll_seconds=spec.poll_seconds if spec and holder is None else None,
        role=role,
        learned_timeout=patience,
    )


def current_choice(builder: DecisionBuilder) -> AssignmentDecision | None:
    """The agent that the task would go to now; None if it waits for none."""
    task, policy, agents = builder.task, builder.policy, builder.context.agents
    if not (task.is_assignable or needs_reviewer(task, policy.merge.review)):
        return None
    choice = choose_agent(task, agents, policy.scoring, builder.now, next_role(task, agents, policy.plan))
    return without_failures(choice) if policy.dry_run else choice


def handoff_packet(builder: DecisionBuilder, lease: Lease) -> dict[str, Any]:
    """The packet of this lease, for the present task."""
    context = builder.context
    spec = builder.policy.agents.get(lease.agent)
    is_heard = spec is not None and lease.holder_id is None and spec.reads_final_message
    return build_packet(
        builder.task,
        lease,
        context.default_branch,
        builder.now.isoformat(),
        context.dependency_results,
        reads_output=is_heard,
    )


def start_agent(builder: DecisionBuilder, lease: Lease) -> None:
    """Have the agent of this lease start, with the hand-off packet."""
    builder.add_effect(
        StartAgent(
            builder.task.number,
            lease.attempt,
            lease.agent,
            handoff_packet(builder, lease),
            since=builder.context.received_at,
            lost_at=_previous_failure_at(builder.task, lease.role),
        )
    )


def _previous_failure_at(task: Task, role: Role) -> datetime | None:
    """When the previous agent in this role was found to have failed, if that is why it is reassigned."""
    last_attempt = next(
        (attempt for attempt in reversed(task.history) if attempt.role is role and attempt.outcome != "unavailable"),
        None,
    )
    return last_attempt.ended_at if last_attempt and last_attempt.outcome == "silent" else None
