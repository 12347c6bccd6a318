"""Granting a lease, and sealing what goes out with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.assignment.rules import choose, part_of, untried
from core.decide.builder import Draft
from core.handoff.packet import packet
from core.intake.references import branch_name
from core.review.definition_of_done import wants_reviewer
from core.task.model import Actor, Choice, Lease, Patience, Role, Task


def grant(draft: Draft, agent: str, role: Role, holder: Actor | None = None, patience: Patience | None = None) -> Lease:
    """A lease for an agent, or for a person (`holder`), under the next attempt's number as its fencing token.

    The caller puts it on the task. Its branch is that of the work; of a plan or a review it only names the run.
    """
    attempt = draft.task.attempt + 1
    spec = draft.policy.agents.get(agent)
    return Lease(
        agent=agent,
        attempt=attempt,
        branch=branch_name(draft.task.number, attempt),
        since=draft.now,
        acknowledged_at=draft.now if holder else None,
        holder_id=holder.id if holder else None,
        poll_seconds=spec.poll_seconds if spec and holder is None else None,
        role=role,
        patience=patience,
    )


def choice_now(draft: Draft) -> Choice | None:
    """Whom the task would go to at this moment; None where it waits for nobody."""
    task, policy, agents = draft.task, draft.policy, draft.context.agents
    if not (task.in_line or wants_reviewer(task, policy.merge.review)):
        return None
    choice = choose(task, agents, policy.scoring, draft.now, part_of(task, agents, policy.plan))
    return untried(choice) if policy.dry_run else choice


def seal(draft: Draft, lease: Lease) -> dict[str, Any]:
    """The packet of this lease, as the task is now."""
    context = draft.context
    spec = draft.policy.agents.get(lease.agent)
    heard = spec is not None and lease.holder_id is None and spec.is_heard
    return packet(draft.task, lease, context.default_branch, draft.now.isoformat(), context.builds_on, heard=heard)


def lost_at(task: Task, role: Role) -> datetime | None:
    """When the agent that had this part before was found to have failed, if that is why it is handed on."""
    last = next((a for a in reversed(task.history) if a.role is role and a.outcome != "unavailable"), None)
    return last.ended_at if last and last.outcome == "silent" else None
