"""Handles a stalled task: remind the agent or person it waits for, then reassign, then escalate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.assignment.rules import choose_agent
from core.audit.events import EventType
from core.commands.permissions import has_role
from core.decide.attempts import fail_attempt
from core.decide.builder import DecisionBuilder
from core.decide.escalation import escalate
from core.decide.pulls import check_pull
from core.effects.base import Comment, MessageAgent
from core.escalation.levels import escalation_levels
from core.escalation.model import EscalationCause
from core.handoff.feedback import Feedback
from core.signals.base import AgentMessageResult, EscalationAnswered
from core.stall.model import EscalationStep, Stall, StallCause
from core.stall.rules import ESCALATION_STEPS, diagnose, escalate_after, stall_suggestions, stall_text
from core.task.deadlines import stall_threshold
from core.task.model import Attempt, Flag, Lease, Role, Status, Task
from core.text_safety.sanitize import defuse, inline_code, mask_secrets, one_line
from core.texts import format_duration
from core.texts.escalation import agent_nudge_message, people_nudge_comment

_AGENT_CAUSES = frozenset({StallCause.NO_ACK, StallCause.NO_PUSH, StallCause.REVIEWER})


def on_stall_due(builder: DecisionBuilder) -> None:
    """Nothing has moved for too long: say why, take the next step, and check whether an answer was lost."""
    stall = _current_stall(builder)
    ladder = ESCALATION_STEPS[stall.cause]
    while step := next((step for step in ladder if step not in stall.steps_taken), None):
        next_step = next((later_step for later_step in ladder[ladder.index(step) + 1 :]), None)
        wait = escalate_after(stall.threshold) if next_step else _recheck_interval(builder, stall)
        stall = replace(stall, steps_taken=(*stall.steps_taken, step), next_step=next_step, next_at=builder.now + wait)
        builder.update_task(stall=stall)
        result = _run_step(builder, stall, step)
        if result is None:
            return  # the task has another holder now
        builder.add_event(
            EventType.STALL_STEP_TAKEN, lease=_active_lease(builder.task), rung=step, reason=result or stall.reason
        )
        stall = builder.task.stall or stall
        if result:
            stall = replace(stall, actions_taken=(*stall.actions_taken, result))
        if step is not EscalationStep.REASSIGN:
            break  # what could not be reassigned goes to a person at once
    else:
        stall = replace(stall, next_step=None, next_at=builder.now + _recheck_interval(builder, stall))
    _save_stall(builder, stall)
    _recheck_pull(builder)


def on_agent_message_result(builder: DecisionBuilder, signal: AgentMessageResult) -> None:
    """Record whether the reminder reached the agent; if the agent receives no messages, no answer is awaited."""
    stall, lease = builder.task.stall, builder.task.find_lease(signal.attempt)
    if stall is None or lease is None or stall.topic != signal.topic:
        return
    agent = inline_code(lease.agent)
    reason = f" ({defuse(one_line(mask_secrets(signal.reason), 150))})" if signal.reason else ""
    result = (
        f"The bot reminded {agent}."
        if signal.accepted
        else f"{agent} cannot receive messages while it runs{reason}, so no reminder was sent."
    )
    _save_stall(builder, replace(stall, actions_taken=(*stall.actions_taken, result)))


def on_escalation_answered(builder: DecisionBuilder, signal: EscalationAnswered) -> None:
    """A person who was reminded answers: no progress yet, but more time."""
    stall, login = builder.task.stall, signal.actor.login
    if stall is None or stall.next_step is None or not stall.notified or signal.actor.is_bot:
        return
    was_notified = login.casefold() in {notified_login.casefold() for notified_login in stall.notified}
    result = f"{inline_code(login)} answered."
    if result not in stall.actions_taken and (was_notified or has_role(signal.permission, "write")):
        _save_stall(
            builder, replace(stall, actions_taken=(*stall.actions_taken, result), next_at=builder.now + stall.threshold)
        )


def _recheck_interval(builder: DecisionBuilder, stall: Stall) -> timedelta:
    """When all steps were taken, how long until GitHub is asked again."""
    return max(stall.threshold, builder.policy.timeouts.stall_timeout(builder.task.priority.value))


def _current_stall(builder: DecisionBuilder) -> Stall:
    """The present stall: a new one if there was none or the cause changed."""
    task = builder.task
    cause, reason = diagnose(task, builder.policy, _responsible(builder))
    if task.stall and cause in (task.stall.cause, StallCause.NO_ANSWER):
        return task.stall  # an answer that is missing because it was just requested explains nothing better
    timeout = stall_threshold(task, builder.policy.timeouts)
    stalled_since = (
        task.stall.since if task.stall else max(task.status_since, task.wait_restarted_at or task.status_since)
    )
    stall = Stall(cause, reason, stalled_since, builder.now, timeout, builder.now)
    builder.add_event(
        EventType.TASK_STALLED,
        lease=_active_lease(task),
        cause=cause,
        reason=reason,
        after=format_duration(timeout),
        since=stalled_since.isoformat(),
    )
    return stall


def _save_stall(builder: DecisionBuilder, stall: Stall) -> None:
    builder.update_task(stall=stall)
    builder.task = builder.task.with_flag(Flag.STALLED, stall_text(stall))


def _run_step(builder: DecisionBuilder, stall: Stall, step: EscalationStep) -> str | None:
    """Take the step; returns a sentence, empty if the result follows later, None if the stall is over."""
    match step:
        case EscalationStep.RECHECK:
            return ""
        case EscalationStep.REMIND:
            return _nudge(builder, stall)
        case EscalationStep.REASSIGN:
            return _reassign(builder, stall)
        case EscalationStep.ESCALATE:
            return _escalate(builder, stall)


def _nudge(builder: DecisionBuilder, stall: Stall) -> str:
    task, lease = builder.task, _active_lease(builder.task)
    if stall.cause in _AGENT_CAUSES and lease and lease.worker:
        text = agent_nudge_message(task, stall, lease, builder.now)
        builder.add_effect(
            MessageAgent(task.number, lease.attempt, lease.agent, lease.session, lease.since, stall.topic, text)
        )
        return ""  # its adapter reports whether it receives messages
    people = (lease.agent,) if lease and stall.cause in (StallCause.CLAIMED, *_AGENT_CAUSES) else _responsible(builder)
    if not people:
        return "There is no person to notify."
    names = ", ".join(map(inline_code, people))
    if builder.policy.dry_run:
        return f"Dry run: the bot would notify {names}."
    comment_number = task.pull.number if task.pull and task.pull.open else task.number
    builder.add_effect(
        Comment(comment_number, stall.topic, people_nudge_comment(stall, people, stall_suggestions(task), builder.now))
    )
    builder.update_task(stall=replace(stall, notified=people))
    return f"The bot notified {names}."


def _reassign(builder: DecisionBuilder, stall: Stall) -> str | None:
    """Reassign the task if another agent is free. Otherwise the slow agent stays: it is better than none."""
    task, lease = builder.task, _active_lease(builder.task)
    if lease is None or lease.worker is None:
        return "No agent holds the task, so the bot did not reassign it."
    is_last_attempt = lease.role is Role.IMPLEMENT and task.failure_count + 1 >= builder.policy.limits.max_attempts
    if is_last_attempt:
        return "This is the last attempt, so the bot did not reassign the task."
    if lease.role is not Role.PLAN and (reason := _no_replacement_reason(builder, lease)):
        return reason
    title = f"{lease.agent} made no progress"
    duration = format_duration(builder.now - stall.since)
    feedback = Feedback(
        key=f"stalled:{lease.attempt}",
        title=title,
        details=f"{stall.reason} There has been no progress for {duration}. Any commits it pushed are on the "
        f"branch `{lease.branch}`.",
        created_at=builder.now,
    )
    builder.add_event(
        EventType.STALL_STEP_TAKEN, lease=lease, rung=EscalationStep.REASSIGN, reason=f"{title} for {duration}"
    )
    fail_attempt(builder, lease, feedback, outcome="stalled", details=f"for {duration}")
    builder.record_progress()
    return None


def _no_replacement_reason(builder: DecisionBuilder, lease: Lease) -> str:
    """Why it cannot be reassigned now; empty if another agent would get it at once."""
    task, policy = builder.task, builder.policy
    if task.readiness_problems or task.open_dependencies or task.hold or task.approved_digest != task.text_digest:
        return "The task is not ready to be assigned again, so the bot did not reassign it."
    stalled_attempt = Attempt(
        lease.attempt, lease.agent, lease.since, builder.now, "stalled", "", lease.branch, role=lease.role,
        counts_against_agent=lease.role is Role.IMPLEMENT, pull=task.pull.number if task.pull else None,
    )  # fmt: skip
    task_after = replace(task, history=(*task.history, stalled_attempt))
    choice = choose_agent(task_after, builder.context.agents, policy.scoring, builder.now, lease.role)
    stalled_attempts = (
        attempt
        for attempt in task.counted_attempts
        if attempt.role is lease.role and attempt.outcome in ("silent", "stalled")
    )
    stalled_agents = {attempt.worker for attempt in stalled_attempts}
    # The choice may fall on an agent that already stalled on it if no other is left: that helps nothing.
    return (
        "No other agent is free, so the bot did not reassign the task."
        if choice.agent in (None, lease.agent, *stalled_agents)
        else ""
    )


def _escalate(builder: DecisionBuilder, stall: Stall) -> str:
    escalation = builder.task.escalation
    if escalation and escalation.cause is not EscalationCause.STALLED:
        return "The bot has already called for a person for another reason."
    escalate(builder, stall.reason, EscalationCause.STALLED, topic=stall.topic)
    return "The bot called for a person."


def _recheck_pull(builder: DecisionBuilder) -> None:
    """An answer may have been lost: request all of them again."""
    pull = builder.task.pull
    if builder.task.status is Status.REVIEW and pull and pull.open and not pull.draft:
        builder.update_pull(mergeable_sha=None, merge_requested_sha=None)
        check_pull(builder, pull)


def _active_lease(task: Task) -> Lease | None:
    return task.review_lease or task.lease


def _responsible(builder: DecisionBuilder) -> tuple[str, ...]:
    """The people that it waits for: the first level of an escalation."""
    all_levels = escalation_levels(builder.task, builder.policy.escalation, builder.context.codeowners, builder.now)
    return all_levels[0].people if all_levels else ()
