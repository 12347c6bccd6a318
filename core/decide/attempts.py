"""Ends attempts: stores them in the history and returns the task to the queue or a person."""

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
    """Move the current attempt into the history; afterwards the task has no holder and no reviewer.

    `cancel` stops an agent that has not handed in yet and so may still be working.
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
        counts_against_agent=counts_against_agent,
        pull=pull.number if pull else None,
        head_sha=pull.head_sha if pull else None,
        feedback=feedback,
        role=lease.role if lease else Role.IMPLEMENT,
        by_person=lease.holder_id is not None if lease else not (pull and pull.author.is_bot),
        is_mergeable=pull.trial_merge.clean if pull and pull.trial_merge else None,
    )
    if cancel and lease and lease.holder_id is None and task.status is Status.IN_PROGRESS:
        builder.add_effect(CancelAgent(task.number, lease.attempt, lease.agent, lease.session))
    builder.update_task(history=(*task.history, attempt), lease=None, pull=None, choice=None)
    builder.task = builder.task.without_flags(Flag.CONFLICT, Flag.STALLED, Flag.BLOCKED)


def end_review(builder: DecisionBuilder, outcome: str, reason: str, *, cancel: bool = True) -> None:
    """Move the current review into the history, if there is one. It never counts against the work."""
    task = builder.task
    lease, pull = task.review_lease, task.pull
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
        counts_against_agent=False,
        pull=pull.number if pull else None,
        head_sha=pull.head_sha if pull else None,
        role=Role.REVIEW,
    )
    if cancel and lease.holder_id is None:
        builder.add_effect(CancelAgent(task.number, lease.attempt, lease.agent, lease.session))
    builder.update_task(history=(*task.history, attempt), review_lease=None)


def fail_attempt(
    builder: DecisionBuilder,
    lease: Lease,
    feedback: Feedback,
    *,
    outcome: str = "failed",
    cancel: bool = True,
    details: str = "",
) -> None:
    """Record that an agent failed; what follows depends on its role.

    The implementation must be done, but a plan is optional and another agent can review. `details` are the text on the
    card for these two, if the title says too little.
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
    """The attempt failed: return the task to the queue with feedback, or escalate if the attempts are used up."""
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
    if builder.task.failure_count < limit:
        builder.transition(Trigger.SENT_BACK)
        update_readiness(builder)
        return
    builder.transition(Trigger.ATTEMPTS_USED_UP)
    summary = f"{limit} attempts failed; the last one" if limit > 1 else "The attempt failed"
    reason = f"{summary}: {feedback.title}"
    builder.add_event(EventType.TASK_FAILED, reason=reason, last_agent=holder)
    escalate(builder, reason, EscalationCause.ATTEMPTS)


def _record_idle_conflict(builder: DecisionBuilder, lease: Lease | None) -> None:
    """Record work that makes no progress while it is held, because other tasks wait for it."""
    builder.add_event(
        EventType.CONFLICT_DETECTED,
        lease=lease,
        kind="idle",
        tasks=[builder.task.number],
        agents=[lease.agent] if lease else [],
        severity="low",
    )
