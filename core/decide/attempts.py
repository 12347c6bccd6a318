"""How an attempt ends: kept in the history, and the task goes back to the queue or to a person."""

from __future__ import annotations

from core.assignment.agent_state import StateChangeKind
from core.audit.events import EventType
from core.decide.builder import DecisionBuilder
from core.decide.escalation import escalate
from core.decide.readiness import update_readiness
from core.effects.base import CancelAgent, Comment
from core.escalation.model import EscalationCause
from core.handoff.feedback import Feedback
from core.task.lifecycle import Trigger
from core.task.model import Attempt, Flag, Lease, Role, Status
from core.text_safety.sanitize import defuse, one_line
from core.texts import feedback_comment


def end_attempt(
    builder: DecisionBuilder,
    outcome: str,
    reason: str,
    *,
    counts_against_agent: bool,
    feedback: Feedback | None = None,
    cancel: bool = True,
) -> None:
    """Put the current attempt into the history; nobody holds or reviews the task afterwards.

    `cancel` tells an agent that has not handed in yet, and so may still be at work, to stop.
    """
    end_review(builder, "released", reason)
    task = builder.task
    lease, pull = task.lease, task.pull
    if lease is None and pull is None:
        return
    attempt = Attempt(
        number=lease.attempt if lease else pull.attempt if pull else task.attempt,
        agent=lease.agent if lease else pull.author.login if pull else "",
        started_at=lease.since if lease else task.status_since,
        ended_at=builder.now,
        outcome=outcome,
        reason=reason,
        branch=lease.branch if lease else pull.branch if pull else "",
        blamed=counts_against_agent,
        pull=pull.number if pull else None,
        head_sha=pull.head_sha if pull else None,
        feedback=feedback,
        role=lease.role if lease else Role.IMPLEMENT,
        by_person=lease.holder_id is not None if lease else not (pull and pull.author.is_bot),
        merges=pull.trial.clean if pull and pull.trial else None,
    )
    if cancel and lease and lease.holder_id is None and task.status is Status.IN_PROGRESS:
        builder.add_effect(CancelAgent(task.number, lease.attempt, lease.agent, lease.session))
    builder.update_task(history=(*task.history, attempt), lease=None, pull=None, choice=None)
    builder.task = builder.task.unflagged(Flag.CONFLICT, Flag.STALLED, Flag.BLOCKED)


def end_review(builder: DecisionBuilder, outcome: str, reason: str, *, cancel: bool = True) -> None:
    """Put the present review into the history, if there is one. It is never held against the work."""
    task = builder.task
    lease, pull = task.review, task.pull
    if lease is None:
        return
    attempt = Attempt(
        number=lease.attempt,
        agent=lease.agent,
        started_at=lease.since,
        ended_at=builder.now,
        outcome=outcome,
        reason=reason,
        branch=lease.branch,
        blamed=False,
        pull=pull.number if pull else None,
        head_sha=pull.head_sha if pull else None,
        role=Role.REVIEW,
    )
    if cancel and lease.holder_id is None:
        builder.add_effect(CancelAgent(task.number, lease.attempt, lease.agent, lease.session))
    builder.update_task(history=(*task.history, attempt), review=None)


def fail_attempt(
    builder: DecisionBuilder,
    lease: Lease,
    feedback: Feedback,
    *,
    outcome: str = "failed",
    cancel: bool = True,
    details: str = "",
) -> None:
    """An agent came to nothing. What follows depends on its part.

    The work itself must be done; a plan is only a help, and a review can be had of another. `why` is what the card says
    of those two, if the title is too little.
    """
    if lease.role is Role.IMPLEMENT:
        send_back(builder, feedback, outcome=outcome, cancel=cancel)
        return
    reason = one_line(f"{feedback.title}: {details}" if details else feedback.title, 300)
    builder.add_event(EventType.TASK_SENT_BACK, lease=lease, reason=reason, outcome=outcome, role=lease.role)
    if outcome == "silent":
        builder.add_event(EventType.AGENT_FAILED, lease=lease, reason=feedback.title)
        _record_idle_conflict(builder, lease)
        builder.update_agent(lease.agent, StateChangeKind.FAILED, defuse(one_line(feedback.title, 150)))
    if lease.role is Role.REVIEW:
        end_review(builder, outcome, reason, cancel=cancel)
        return
    end_attempt(builder, outcome, reason, counts_against_agent=False, cancel=cancel)
    builder.transition(Trigger.SENT_BACK)
    update_readiness(builder)


def send_back(
    builder: DecisionBuilder,
    feedback: Feedback,
    *,
    outcome: str = "failed",
    counts_against_agent: bool = True,
    cancel: bool = True,
) -> None:
    """The attempt failed: back to the queue with feedback, or to a person when the attempts are used up."""
    task = builder.task
    comment_number = task.pull.number if task.pull else task.number
    holder = task.lease.agent if task.lease else None
    builder.add_effect(Comment(comment_number, feedback.key, feedback_comment(task, feedback)))
    builder.add_event(EventType.TASK_SENT_BACK, reason=feedback.title, outcome=outcome)
    if outcome == "stalled":
        _record_idle_conflict(builder, task.lease)
    if outcome == "silent":
        builder.add_event(EventType.AGENT_FAILED, reason=feedback.title)
        _record_idle_conflict(builder, task.lease)
        if holder and task.lease and task.lease.holder_id is None:
            builder.update_agent(holder, StateChangeKind.FAILED, defuse(one_line(feedback.title, 150)))
    end_attempt(
        builder, outcome, feedback.title, counts_against_agent=counts_against_agent, feedback=feedback, cancel=cancel
    )
    limit = builder.policy.limits.max_attempts
    if builder.task.failures < limit:
        builder.transition(Trigger.SENT_BACK)
        update_readiness(builder)
        return
    builder.transition(Trigger.ATTEMPTS_USED_UP)
    summary = f"{limit} attempts failed; the last one" if limit > 1 else "The attempt failed"
    reason = f"{summary}: {feedback.title}"
    builder.add_event(EventType.TASK_FAILED, reason=reason, last_agent=holder)
    escalate(builder, reason, EscalationCause.ATTEMPTS)


def _record_idle_conflict(builder: DecisionBuilder, lease: Lease | None) -> None:
    """Work that does not go on while somebody holds it is a conflict that others run into."""
    builder.add_event(
        EventType.CONFLICT_DETECTED,
        lease=lease,
        kind="idle",
        tasks=[builder.task.number],
        agents=[lease.agent] if lease else [],
        severity="low",
    )
