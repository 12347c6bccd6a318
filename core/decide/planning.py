"""What a planning agent's plan does to its task: it is kept, and the task goes on to be implemented."""

from __future__ import annotations

from core.agent_state import Turn
from core.decide.attempts import end_attempt
from core.decide.draft import Draft
from core.decide.readying import settle
from core.events import EventType
from core.lifecycle import Trigger
from core.sanitise import clean, defuse, mask_secrets
from core.signals import PlanDelivered
from core.task import Plan, Role, Status

PLAN_LIMIT = 20_000  # characters of a plan that travel to those who implement and review


def delivered(draft: Draft, signal: PlanDelivered) -> None:
    """A plan came. That of an attempt which is over is recorded and never applied."""
    lease = draft.task.lease
    planning = lease is not None and lease.role is Role.PLAN and draft.task.status is Status.IN_PROGRESS
    if lease is None or lease.attempt != signal.attempt or not planning:
        draft.tell(EventType.LATE_RESULT, attempt=signal.attempt, what="plan")
        return
    text = defuse(clean(mask_secrets(signal.text), PLAN_LIMIT)).strip()
    if not text:
        return  # nothing that a reader would see: its run still has to end, or its time
    plan = Plan(text, lease.agent, lease.attempt, draft.now)
    draft.of_agent(lease.agent, Turn.DELIVERED)
    draft.tell(EventType.TASK_PLANNED, lease=lease, characters=len(text))
    end_attempt(draft, "delivered", "delivered its plan", blamed=False, cancel=False)
    draft.set(plan=plan)
    draft.move(Trigger.PLANNED)
    settle(draft)
