"""What agents do to a task: they get it, begin, give signs of life, and end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from core.assignment.agent_state import Turn
from core.assignment.rules import told
from core.assignment.session_output import answer
from core.audit.events import EventType
from core.decide import agent_reviews, plans
from core.decide.attempts import end_attempt, end_review, give_up
from core.decide.builder import Draft
from core.decide.escalation import call_person
from core.decide.leases import grant, lost_at, seal
from core.decide.readiness import settle
from core.effects.base import MarkReady, StartAgent
from core.escalation.model import Cause
from core.handoff.feedback import Feedback
from core.signals.base import AgentSeen, AgentStarted, AgentStartFailed, AgentUnavailable, Assigned, PlanDelivered
from core.task.lifecycle import Trigger, allows
from core.task.model import Actor, Choice, Flag, Lease, Patience, Role, SessionState, Status
from core.text_safety.sanitize import clean, defuse, mask_secrets, one_line

COOL_DOWN = timedelta(minutes=15)  # for an agent that takes no work and does not say for how long; doubled each time
LONGEST_COOLING = timedelta(hours=12)  # whatever a service says, it is asked again twice a day
REASON_LIMIT = 5_000  # characters of an adapter's reason that are shown


def assigned(draft: Draft, signal: Assigned) -> None:
    """The assignment pass looked at this task."""
    task, choice = draft.task, signal.choice
    if choice.role is Role.REVIEW:
        agent_reviews.assigned(draft, signal)
        return
    if not task.in_line:
        return
    if choice.agent is None:
        # Only a new reason is news; the time at which it was found again is not.
        if task.choice is None or (task.choice.reason, task.choice.agent) != (choice.reason, None):
            draft.set(choice=choice)
        return
    lease = take(draft, choice.agent, choice, patience=signal.patience)
    again = any(attempt.role is choice.role for attempt in task.history)
    kind = EventType.TASK_REASSIGNED if again else EventType.TASK_ASSIGNED
    draft.tell(kind, role=choice.role, **told(choice))
    draft.want(
        StartAgent(
            task.number,
            lease.attempt,
            lease.agent,
            seal(draft, lease),
            since=draft.context.heard_at,
            lost_at=lost_at(draft.task, choice.role),
        )
    )


def take(
    draft: Draft, agent: str, choice: Choice | None, holder: Actor | None = None, patience: Patience | None = None
) -> Lease:
    """Give the task to an agent, or to a person (`holder`), as a new attempt."""
    lease = grant(draft, agent, choice.role if choice else Role.IMPLEMENT, holder, patience)
    draft.set(attempt=lease.attempt, lease=lease, choice=choice, pull=None)
    draft.move(Trigger.ASSIGNED)
    draft.task = draft.task.unflagged(Flag.STALLED, Flag.NEEDS_HUMAN)
    return lease


def started(draft: Draft, signal: AgentStarted) -> None:
    """The start call was accepted: worth a line in the trail, but no acknowledgement."""
    lease = draft.task.lease_of(signal.attempt)
    if lease is None:
        return
    draft.tell(EventType.TASK_ACKNOWLEDGED, lease=lease, stage="start accepted")
    lease = draft.set_lease(lease, started_at=lease.started_at or draft.now)
    if signal.session:
        draft.set_lease(lease, session=signal.session, session_url=signal.url or None)


def start_failed(draft: Draft, signal: AgentStartFailed) -> None:
    """The agent could not be started: say what must be mended, and let another one try."""
    lease = draft.task.lease_of(signal.attempt)
    if lease is None or not _awaited(draft, lease):
        return
    if lease.acknowledged_at:
        return  # it has begun all the same: the answer to its start was lost, or the question came late
    details = defuse(clean(mask_secrets(signal.reason), REASON_LIMIT))
    feedback = Feedback(f"start:{signal.attempt}", f"{lease.agent} could not be started", details, draft.now)
    give_up(draft, lease, feedback, outcome="silent", cancel=False, why=details)


def _awaited(draft: Draft, lease: Lease) -> bool:
    """Whether something is still to come of this lease: work that is not handed in, or a verdict."""
    return lease.role is Role.REVIEW or draft.task.status is Status.IN_PROGRESS


def unavailable(draft: Draft, signal: AgentUnavailable) -> None:
    """The agent takes no work now. Nobody is to blame: the task goes back, and another one gets it."""
    lease = draft.task.lease_of(signal.attempt)
    if lease is None or not _awaited(draft, lease):
        return
    may_have_begun = signal.unclear or lease.session is not None or lease.acknowledged_at is not None
    cool_down(draft, lease, signal.reason, until=signal.until, cancel=may_have_begun)


def cool_down(draft: Draft, lease: Lease, reason: str, *, until: datetime | None = None, cancel: bool = False) -> None:
    """The agent takes no work until then, and the task goes on without it. Without a time the pauses grow."""
    reason = defuse(one_line(mask_secrets(reason), 300))
    tries = 0
    for attempt in reversed(draft.task.counted):
        if (attempt.agent, attempt.outcome) == (lease.agent, "unavailable"):
            tries += 1
        elif attempt.agent == lease.agent:
            break
    longest = draft.now + LONGEST_COOLING
    until = min(until or draft.now + COOL_DOWN * (1 << min(tries, 20)), longest)
    draft.tell(EventType.TASK_SENT_BACK, lease=lease, reason=reason, outcome="unavailable", until=until.isoformat())
    draft.of_agent(lease.agent, Turn.COOLING, reason, until)
    if lease.role is Role.REVIEW:
        end_review(draft, "unavailable", reason, cancel=cancel)
        return
    end_attempt(draft, "unavailable", reason, blamed=False, cancel=cancel)
    draft.move(Trigger.SENT_BACK)
    settle(draft)


def seen(draft: Draft, signal: AgentSeen) -> None:
    """News of the agent's work on an attempt."""
    lease = draft.task.lease_of(signal.attempt)
    holder = lease.worker if lease else None
    if lease is None or signal.agent not in (None, holder):
        if not (signal.state.ended and _has_delivered(draft, signal.attempt)):
            late(draft, signal.attempt, by=signal.agent, session=signal.session, state=signal.state)
        return
    if _is_of_an_earlier_session(signal.session, lease.session):
        return
    if signal.session and lease.session != signal.session:
        lease = draft.set_lease(lease, session=signal.session, session_url=signal.url or None)
    if signal.state.ended:
        _ended(draft, signal, lease)
    elif signal.state in (SessionState.QUEUED, SessionState.PAUSED):
        # It has not begun, or waits for something, but it is there. Slow is not dead.
        draft.set_lease(lease, last_sign_at=draft.now)
    else:
        show_life(draft, lease)
        if signal.pushed:
            draft.moved_on()
        if draft.task.status is Status.IN_PROGRESS:
            _heed_question(draft, signal.state, lease)


def _heed_question(draft: Draft, state: SessionState, lease: Lease) -> None:
    """An agent that asks something waits until somebody answers, however alive it is: a person is called."""
    asked, call = Flag.NEEDS_HUMAN in draft.task.flags, draft.task.escalation
    if state is SessionState.NEEDS_INPUT and not asked:
        call_person(draft, f"{lease.agent} asked a question and waits for the answer", Cause.QUESTION)
    elif state is SessionState.WORKING and asked and (call is None or call.cause is not Cause.STALLED):
        draft.task = draft.task.unflagged(Flag.NEEDS_HUMAN)


def _has_delivered(draft: Draft, attempt: int) -> bool:
    """Whether a plan or a verdict of this attempt was taken: the end of its run is no news then, and not late."""
    return any(
        a.number == attempt and a.outcome == "delivered" and a.role is not Role.IMPLEMENT for a in draft.task.history
    )


def late(draft: Draft, attempt: int | None, *, by: str | None = None, **what: Any) -> None:
    """News of an attempt that is over, or from somebody who does not hold it: recorded, and never applied.

    Whoever works on although it was given up on is alive all the same, and may have other tasks.
    """
    agent = by or next((a.agent for a in draft.task.history if a.number == attempt), None)
    draft.tell(EventType.LATE_RESULT, of=agent, attempt=attempt, **what)
    state = what.get("state")
    alive = state not in (SessionState.QUEUED, SessionState.FAILED, SessionState.CANCELLED, SessionState.TIMED_OUT)
    if alive and agent in draft.policy.agents:
        draft.of_agent(agent, Turn.SEEN)


def _is_of_an_earlier_session(told: str | None, known: str | None) -> bool:
    """Whether news is of an earlier run of the same attempt: the ids of runs are numbers, and grow."""
    return bool(told and known and told.isdigit() and known.isdigit() and int(told) < int(known))


def show_life(draft: Draft, lease: Lease | None = None) -> None:
    """A sign of life of the holder, if there is one, or of another `lease`: the first is its acknowledgement.

    Life is no progress: whoever calls this says `moved_on` besides when something moved.
    """
    lease = lease or draft.task.lease
    if lease is None:
        return
    if lease.holder_id is None:
        draft.of_agent(lease.agent, Turn.SEEN)
    if lease.acknowledged_at is None:
        draft.tell(EventType.TASK_ACKNOWLEDGED, lease=lease, stage="at work")
        draft.moved_on()
    draft.set_lease(lease, acknowledged_at=lease.acknowledged_at or draft.now, last_sign_at=draft.now)


# What a run that ended well has to leave behind, by the part that it had: how the lack of it is told.
_OWED = {
    Role.PLAN: ("without a plan", "it delivered no plan"),
    Role.IMPLEMENT: ("without a pull request", "it opened no pull request from the agreed branch"),
    Role.REVIEW: ("without a verdict", "it gave no verdict"),
}


def _ended(draft: Draft, signal: AgentSeen, lease: Lease) -> None:
    task = draft.task
    handed_in = task.pull is not None or not allows(task.status, Trigger.SENT_BACK)
    if lease.role is Role.IMPLEMENT and handed_in:
        if task.pull and task.pull.open and task.pull.draft and signal.state is SessionState.DELIVERED:
            draft.want(MarkReady(task.number, task.pull.number, task.pull.head_sha))
        return  # what becomes of it, the pull request tells
    if signal.state is SessionState.DELIVERED and _has_answered(draft, signal, lease):
        return
    run = f"[The run]({signal.url})" if signal.url else "The run"
    if signal.state is SessionState.DELIVERED:
        without, lack = _OWED[lease.role]
        title = f"The run ended {without}"
        details = f"{run} succeeded, but {lack}."
    else:
        how = defuse(one_line(signal.detail, 200)) or f"ended with {signal.state}"
        title = f"The run {how}"
        details = f"{run} {how} before it handed in any work."
    feedback = Feedback(f"run:{signal.session or lease.attempt}", title, details, draft.now)
    give_up(draft, lease, feedback, cancel=False)


def _has_answered(draft: Draft, signal: AgentSeen, lease: Lease) -> bool:
    """Whether its last words are the plan or the verdict that was asked for; then they are taken."""
    said = answer(signal.words, lease.role, lease.attempt)
    if isinstance(said, PlanDelivered):
        plans.delivered(draft, said)
    elif said is not None:
        agent_reviews.delivered(draft, said)
    return draft.task.lease_of(lease.attempt) is None
