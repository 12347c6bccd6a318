"""Applies what agents do to a task: start, signs of life, results and failures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from core.assignment.agent_state import StateChangeKind
from core.assignment.rules import choice_payload
from core.assignment.session_output import parse_session_output
from core.audit.events import EventType
from core.decide import agent_reviews, plans
from core.decide.attempts import end_attempt, end_review, fail_attempt
from core.decide.builder import DecisionBuilder
from core.decide.escalation import escalate
from core.decide.leases import grant_lease, start_agent
from core.decide.readiness import update_readiness
from core.effects.base import MarkReady
from core.escalation.model import EscalationCause
from core.handoff.feedback import Feedback
from core.signals.base import AgentSeen, AgentStarted, AgentStartFailed, AgentUnavailable, Assigned, PlanDelivered
from core.task.lifecycle import Trigger, can_apply
from core.task.model import Actor, AssignmentDecision, Flag, LearnedTimeout, Lease, Role, SessionState, Status
from core.text_safety.sanitize import clean, defuse, mask_secrets, one_line

INITIAL_BACKOFF = timedelta(minutes=15)  # if an agent takes no work and does not say until when; doubled each time
MAX_BACKOFF = timedelta(hours=12)  # whatever a service says, it is asked at least twice a day
REASON_LIMIT = 5_000  # characters of an adapter's reason that are shown


def on_assigned(builder: DecisionBuilder, signal: Assigned) -> None:
    """Apply the result of the assignment pass for this task."""
    task, choice = builder.task, signal.choice
    if choice.role is Role.REVIEW:
        agent_reviews.on_review_assigned(builder, signal)
        return
    if not task.is_assignable:
        return
    if choice.agent is None:
        # Only a new reason counts as a change; the time at which it was found again does not.
        if task.choice is None or (task.choice.reason, task.choice.agent) != (choice.reason, None):
            builder.update_task(choice=choice)
        return
    lease = start_attempt(builder, choice.agent, choice, patience=signal.learned_timeout)
    is_reassignment = any(attempt.role is choice.role for attempt in task.history)
    event_type = EventType.TASK_REASSIGNED if is_reassignment else EventType.TASK_ASSIGNED
    builder.add_event(event_type, role=choice.role, **choice_payload(choice))
    start_agent(builder, lease)


def start_attempt(
    builder: DecisionBuilder,
    agent: str,
    choice: AssignmentDecision | None,
    holder: Actor | None = None,
    patience: LearnedTimeout | None = None,
) -> Lease:
    """Assign the task to an agent, or to a person (`holder`), as a new attempt."""
    lease = grant_lease(builder, agent, choice.role if choice else Role.IMPLEMENT, holder, patience)
    builder.update_task(attempt=lease.attempt, lease=lease, choice=choice, pull=None)
    builder.transition(Trigger.ASSIGNED)
    builder.task = builder.task.without_flags(Flag.STALLED, Flag.NEEDS_HUMAN)
    return lease


def on_agent_started(builder: DecisionBuilder, signal: AgentStarted) -> None:
    """Record that the start call was accepted; that is no acknowledgement."""
    lease = builder.task.find_lease(signal.attempt)
    if lease is None:
        return
    builder.add_event(EventType.TASK_ACKNOWLEDGED, lease=lease, stage="start accepted")
    lease = builder.update_lease(lease, started_at=lease.started_at or builder.now)
    if signal.session:
        builder.update_lease(lease, session=signal.session, session_url=signal.url or None)


def on_agent_start_failed(builder: DecisionBuilder, signal: AgentStartFailed) -> None:
    """The agent could not be started: say what must be fixed, and let another agent try."""
    lease = builder.task.find_lease(signal.attempt)
    if lease is None or not _is_result_pending(builder, lease):
        return
    if lease.acknowledged_at:
        return  # it has begun: the response to its start was lost, or the request was delayed
    details = defuse(clean(mask_secrets(signal.reason), REASON_LIMIT))
    feedback = Feedback(f"start:{signal.attempt}", f"{lease.agent} could not be started", details, builder.now)
    fail_attempt(builder, lease, feedback, outcome="silent", cancel=False, details=details)


def _is_result_pending(builder: DecisionBuilder, lease: Lease) -> bool:
    """Whether a result of this lease is still missing: work that is not handed in, or a verdict."""
    return lease.role is Role.REVIEW or builder.task.status is Status.IN_PROGRESS


def on_agent_unavailable(builder: DecisionBuilder, signal: AgentUnavailable) -> None:
    """The agent takes no work now. No one is at fault: the task goes back and another agent gets it."""
    lease = builder.task.find_lease(signal.attempt)
    if lease is None or not _is_result_pending(builder, lease):
        return
    may_have_started = signal.may_have_started or lease.session is not None or lease.acknowledged_at is not None
    back_off(builder, lease, signal.reason, until=signal.until, cancel=may_have_started)


def back_off(
    builder: DecisionBuilder, lease: Lease, reason: str, *, until: datetime | None = None, cancel: bool = False
) -> None:
    """Record that the agent takes no work until then and release the task. Without a time, the pauses grow."""
    reason = defuse(one_line(mask_secrets(reason), 300))
    previous_count = 0
    for attempt in reversed(builder.task.counted_attempts):
        if (attempt.agent, attempt.outcome) == (lease.agent, "unavailable"):
            previous_count += 1
        elif attempt.agent == lease.agent:
            break
    latest = builder.now + MAX_BACKOFF
    until = min(until or builder.now + INITIAL_BACKOFF * (1 << min(previous_count, 20)), latest)
    builder.add_event(
        EventType.TASK_SENT_BACK, lease=lease, reason=reason, outcome="unavailable", until=until.isoformat()
    )
    builder.update_agent(lease.agent, StateChangeKind.BACKING_OFF, reason, until)
    if lease.role is Role.REVIEW:
        end_review(builder, "unavailable", reason, cancel=cancel)
        return
    end_attempt(builder, "unavailable", reason, counts_against_agent=False, cancel=cancel)
    builder.transition(Trigger.SENT_BACK)
    update_readiness(builder)


def on_agent_seen(builder: DecisionBuilder, signal: AgentSeen) -> None:
    """Apply a report on the agent's work on an attempt."""
    lease = builder.task.find_lease(signal.attempt)
    holder = lease.worker if lease else None
    if lease is None or signal.agent not in (None, holder):
        if not (signal.state.ended and _was_delivered(builder, signal.attempt)):
            record_late_result(
                builder, signal.attempt, agent_name=signal.agent, session=signal.session, state=signal.state
            )
        return
    if _is_earlier_session(signal.session, lease.session):
        return
    if signal.session and lease.session != signal.session:
        lease = builder.update_lease(lease, session=signal.session, session_url=signal.url or None)
    if signal.state.ended:
        _on_run_ended(builder, signal, lease)
    elif signal.state in (SessionState.QUEUED, SessionState.PAUSED):
        # It has not begun or waits for something, but it responds. Slow is not dead.
        builder.update_lease(lease, last_activity_at=builder.now)
    else:
        record_heartbeat(builder, lease)
        if signal.from_push:
            builder.record_progress()
        if builder.task.status is Status.IN_PROGRESS:
            _update_question_escalation(builder, signal.state, lease)


def _update_question_escalation(builder: DecisionBuilder, state: SessionState, lease: Lease) -> None:
    """Escalate while an agent waits for an answer to its question, however alive the agent is."""
    is_flagged, escalation = Flag.NEEDS_HUMAN in builder.task.flags, builder.task.escalation
    if state is SessionState.NEEDS_INPUT and not is_flagged:
        escalate(builder, f"{lease.agent} asked a question and waits for the answer", EscalationCause.QUESTION)
    elif (
        state is SessionState.WORKING
        and is_flagged
        and (escalation is None or escalation.cause is not EscalationCause.STALLED)
    ):
        builder.task = builder.task.without_flags(Flag.NEEDS_HUMAN)


def _was_delivered(builder: DecisionBuilder, attempt: int) -> bool:
    """Whether a plan or verdict of this attempt was accepted: then the end of its run is neither new nor late."""
    return any(
        past_attempt.number == attempt
        and past_attempt.outcome == "delivered"
        and past_attempt.role is not Role.IMPLEMENT
        for past_attempt in builder.task.history
    )


def record_late_result(
    builder: DecisionBuilder, attempt: int | None, *, agent_name: str | None = None, **payload: Any
) -> None:
    """Record a report on an attempt that is over, or from an agent that does not hold it, without applying it.

    An agent that still works on a revoked attempt is alive, and may hold other tasks.
    """
    agent = agent_name or next(
        (past_attempt.agent for past_attempt in builder.task.history if past_attempt.number == attempt), None
    )
    builder.add_event(EventType.LATE_RESULT, agent=agent, attempt=attempt, **payload)
    state = payload.get("state")
    is_alive = state not in (SessionState.QUEUED, SessionState.FAILED, SessionState.CANCELLED, SessionState.TIMED_OUT)
    if is_alive and agent in builder.policy.agents:
        builder.update_agent(agent, StateChangeKind.SEEN)


def _is_earlier_session(session: str | None, current_session: str | None) -> bool:
    """Whether a report is about an earlier run of the same attempt: run ids are numbers, and grow."""
    return bool(
        session
        and current_session
        and session.isdigit()
        and current_session.isdigit()
        and int(session) < int(current_session)
    )


def record_heartbeat(builder: DecisionBuilder, lease: Lease | None = None) -> None:
    """Record a sign of life of the holder, or of another `lease`; the first is the acknowledgement.

    A sign of life is no progress: the caller also calls `record_progress` if something moved.
    """
    lease = lease or builder.task.lease
    if lease is None:
        return
    if lease.holder_id is None:
        builder.update_agent(lease.agent, StateChangeKind.SEEN)
    if lease.acknowledged_at is None:
        builder.add_event(EventType.TASK_ACKNOWLEDGED, lease=lease, stage="at work")
        builder.record_progress()
    builder.update_lease(lease, acknowledged_at=lease.acknowledged_at or builder.now, last_activity_at=builder.now)


# The result that a successful run must leave, by role, and the sentence if it is missing.
_EXPECTED_RESULTS = {
    Role.PLAN: ("without a plan", "it delivered no plan"),
    Role.IMPLEMENT: ("without a pull request", "it opened no pull request from the agreed branch"),
    Role.REVIEW: ("without a verdict", "it gave no verdict"),
}


def _on_run_ended(builder: DecisionBuilder, signal: AgentSeen, lease: Lease) -> None:
    task = builder.task
    is_submitted = task.pull is not None or not can_apply(task.status, Trigger.SENT_BACK)
    if lease.role is Role.IMPLEMENT and is_submitted:
        if task.pull and task.pull.open and task.pull.draft and signal.state is SessionState.DELIVERED:
            builder.add_effect(MarkReady(task.number, task.pull.number, task.pull.head_sha))
        return  # the pull request decides what follows
    if signal.state is SessionState.DELIVERED and _apply_session_output(builder, signal, lease):
        return
    run_link = f"[The run]({signal.url})" if signal.url else "The run"
    if signal.state is SessionState.DELIVERED:
        missing_result, problem = _EXPECTED_RESULTS[lease.role]
        title = f"The run ended {missing_result}"
        details = f"{run_link} succeeded, but {problem}."
    else:
        outcome = defuse(one_line(signal.detail, 200)) or f"ended with {signal.state}"
        title = f"The run {outcome}"
        details = f"{run_link} {outcome} before it handed in any work."
    feedback = Feedback(f"run:{signal.session or lease.attempt}", title, details, builder.now)
    fail_attempt(builder, lease, feedback, cancel=False)


def _apply_session_output(builder: DecisionBuilder, signal: AgentSeen, lease: Lease) -> bool:
    """Whether its last message is the requested plan or verdict; if so, it is applied."""
    result = parse_session_output(signal.output, lease.role, lease.attempt)
    if isinstance(result, PlanDelivered):
        plans.on_plan_delivered(builder, result)
    elif result is not None:
        agent_reviews.on_review_delivered(builder, result)
    return builder.task.find_lease(lease.attempt) is None
