"""Stores a planning agent's plan and continues with the implementation."""

from __future__ import annotations

from core.assignment.agent_state import StateChangeKind
from core.audit.events import EventType
from core.decide.attempts import end_attempt
from core.decide.builder import DecisionBuilder
from core.decide.readiness import update_readiness
from core.signals.base import PlanDelivered
from core.task.lifecycle import Trigger
from core.task.model import Plan, Role, Status
from core.text_safety.sanitize import clean, defuse, mask_secrets

PLAN_LIMIT = 20_000  # characters of a plan that implementers and reviewers receive


def on_plan_delivered(builder: DecisionBuilder, signal: PlanDelivered) -> None:
    """Store a plan. A plan of an attempt that is over is only recorded."""
    lease = builder.task.lease
    is_planning = lease is not None and lease.role is Role.PLAN and builder.task.status is Status.IN_PROGRESS
    if lease is None or lease.attempt != signal.attempt or not is_planning:
        builder.add_event(EventType.LATE_RESULT, attempt=signal.attempt, what="plan")
        return
    if not store_plan(builder, signal.text, lease.agent):
        return  # nothing that a reader would see: its run or its time must still end
    builder.update_agent(lease.agent, StateChangeKind.DELIVERED)
    end_attempt(builder, "delivered", "delivered its plan", counts_against_agent=False, cancel=False)
    start_implementation(builder)


def store_plan(builder: DecisionBuilder, raw_text: str, author: str) -> bool:
    """Store a plan, cleaned and bounded; returns whether any text was left."""
    text = defuse(clean(mask_secrets(raw_text), PLAN_LIMIT)).strip()
    if text:
        lease = builder.task.lease
        builder.add_event(EventType.TASK_PLANNED, by=author, characters=len(text))
        builder.update_task(plan=Plan(text, author, lease.attempt if lease else builder.task.attempt, builder.now))
    return bool(text)


def start_implementation(builder: DecisionBuilder) -> None:
    """The plan exists: the task is ready to be implemented."""
    builder.transition(Trigger.PLANNED)
    update_readiness(builder)
