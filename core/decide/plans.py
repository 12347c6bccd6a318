"""What a planning agent's plan does to its task: it is kept, and the task goes on to be implemented."""

from __future__ import annotations

from core.assignment.agent_state import Turn
from core.audit.events import EventType
from core.decide.attempts import end_attempt
from core.decide.builder import Draft
from core.decide.readiness import settle
from core.signals.base import PlanDelivered
from core.task.lifecycle import Trigger
from core.task.model import Plan, Role, Status
from core.text_safety.sanitize import clean, defuse, mask_secrets

PLAN_LIMIT = 20_000  # characters of a plan that travel to those who implement and review


def delivered(draft: Draft, signal: PlanDelivered) -> None:
    """A plan came. That of an attempt which is over is recorded and never applied."""
    lease = draft.task.lease
    planning = lease is not None and lease.role is Role.PLAN and draft.task.status is Status.IN_PROGRESS
    if lease is None or lease.attempt != signal.attempt or not planning:
        draft.tell(EventType.LATE_RESULT, attempt=signal.attempt, what="plan")
        return
    if not put(draft, signal.text, lease.agent):
        return  # nothing that a reader would see: its run still has to end, or its time
    draft.of_agent(lease.agent, Turn.DELIVERED)
    end_attempt(draft, "delivered", "delivered its plan", blamed=False, cancel=False)
    go_on(draft)


def put(draft: Draft, raw: str, by: str) -> bool:
    """Keep a plan, cleaned and bounded; says whether anything was left of it."""
    text = defuse(clean(mask_secrets(raw), PLAN_LIMIT)).strip()
    if text:
        lease = draft.task.lease
        draft.tell(EventType.TASK_PLANNED, by=by, characters=len(text))
        draft.set(plan=Plan(text, by, lease.attempt if lease else draft.task.attempt, draft.now))
    return bool(text)


def go_on(draft: Draft) -> None:
    """The plan is there: the task is ready to be implemented."""
    draft.move(Trigger.PLANNED)
    settle(draft)
