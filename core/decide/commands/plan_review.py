"""Implements `/plan` and `/review`, for the assigned agent or a user with write access."""

from __future__ import annotations

from core.commands.permissions import has_role, is_lease_holder
from core.decide import agent_reviews, plans
from core.decide.attempts import end_attempt, end_review
from core.decide.builder import DecisionBuilder
from core.decide.commands.base import CommandRejected
from core.decide.github_reviews import apply_person_review
from core.signals.base import CommandReceived, PlanDelivered, ReviewDelivered
from core.task.model import Lease, Role, Status


def submit_plan(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/plan`: store the plan for the implementing agent."""
    if not signal.argument.strip():
        raise CommandRejected(
            "Write the plan after the command: `/plan First …`. Everything that follows in the comment is part of it."
        )
    lease = builder.task.lease
    if lease and lease.role is Role.PLAN and is_lease_holder(lease, signal.actor, signal.agent_names):
        plans.on_plan_delivered(builder, PlanDelivered(lease.attempt, signal.argument))
        return
    _require_write_access(signal, "plan")
    if lease and lease.role is Role.PLAN:
        end_attempt(builder, "released", f"@{signal.actor.login} gave a plan", counts_against_agent=False)
        plans.store_plan(builder, signal.argument, signal.actor.login)
        plans.start_implementation(builder)
    elif builder.task.status in (Status.PENDING, Status.READY):
        plans.store_plan(builder, signal.argument, signal.actor.login)
    else:
        raise CommandRejected(f"It is too late for a plan: the task is {builder.task.status}.")


def submit_review(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """`/review approve` and `/review changes`, followed by the text of the review."""
    word, *rest = signal.argument.strip().split(maxsplit=1)
    approves, text = word.lower() == "approve", "".join(rest)
    lease: Lease | None = builder.task.review_lease
    if lease and is_lease_holder(lease, signal.actor, signal.agent_names):
        key = f"command:{signal.key}"
        agent_reviews.on_review_delivered(builder, ReviewDelivered(lease.attempt, approves, text, key), signal.actor.id)
        return
    _require_write_access(signal, "review")
    pull = builder.task.pull
    if pull is None or not pull.open or builder.task.status not in (Status.REVIEW, Status.IN_PROGRESS):
        raise CommandRejected("There is no pull request to review.")
    if signal.actor.id == pull.author.id or signal.actor.is_bot:
        raise CommandRejected(
            "You cannot review this: the pull request is yours, or you are a bot that was not asked for a review."
        )
    end_review(builder, "released", f"@{signal.actor.login} reviewed it")
    apply_person_review(builder, signal.actor, approves, text, pull.head_sha, f"command:{signal.key}")


def _require_write_access(signal: CommandReceived, subject: str) -> None:
    if not has_role(signal.permission, "write"):
        raise CommandRejected(f"You were not asked for a {subject} of this task, or your attempt is over.")
