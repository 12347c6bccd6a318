"""What agents do to a task: they get it, begin, give signs of life, and end."""

from __future__ import annotations

from dataclasses import replace

from core.decide.attempts import end_attempt, send_back
from core.decide.draft import Draft
from core.decide.readying import settle
from core.effects import StartAgent
from core.events import EventType
from core.handoff import packet
from core.lifecycle import Trigger, allows
from core.links import branch_name
from core.sanitise import clean, defuse, mask_secrets, one_line
from core.signals import AgentSeen, AgentStarted, AgentStartFailed, AgentUnavailable, Assigned
from core.task import Actor, Choice, Feedback, Flag, Lease, SessionState, Status

REASON_LIMIT = 5_000  # characters of an adapter's reason that are shown


def assigned(draft: Draft, signal: Assigned) -> None:
    """The assignment pass looked at this task."""
    task, choice = draft.task, signal.choice
    if task.status is not Status.READY or task.waits_for or Flag.PARKED in task.flags:
        return
    if choice.agent is None:
        # Only a new reason is news; the time at which it was found again is not.
        if task.choice is None or (task.choice.reason, task.choice.agent) != (choice.reason, None):
            draft.set(choice=choice)
        return
    lease = take(draft, choice.agent, choice)
    again = len(task.history) > 0
    draft.tell(EventType.TASK_REASSIGNED if again else EventType.TASK_ASSIGNED, reason=choice.reason)
    draft.want(
        StartAgent(
            task.number,
            lease.attempt,
            lease.agent,
            packet(draft.task, lease, draft.context.default_branch, draft.now.isoformat()),
            since=draft.context.heard_at,
        )
    )


def take(draft: Draft, agent: str, choice: Choice | None, holder: Actor | None = None) -> Lease:
    """Give the task to an agent, or to a person (`holder`), as a new attempt."""
    task = draft.task
    attempt = task.attempt + 1
    spec = draft.policy.agents.get(agent)
    lease = Lease(
        agent=agent,
        attempt=attempt,
        branch=branch_name(task.number, attempt),
        since=draft.now,
        acknowledged_at=draft.now if holder else None,
        holder_id=holder.id if holder else None,
        poll_seconds=spec.poll_seconds if spec and holder is None else None,
    )
    draft.set(attempt=attempt, lease=lease, choice=choice, pull=None)
    draft.move(Trigger.ASSIGNED)
    draft.task = draft.task.unflagged(Flag.STALLED, Flag.NEEDS_HUMAN)
    return lease


def _is_current(draft: Draft, attempt: int) -> bool:
    lease = draft.task.lease
    return lease is not None and lease.attempt == attempt


def started(draft: Draft, signal: AgentStarted) -> None:
    """The start call was accepted: worth a line in the trail, but no acknowledgement."""
    lease = draft.task.lease
    if lease is None or lease.attempt != signal.attempt:
        return
    draft.tell(EventType.TASK_ACKNOWLEDGED, stage="start accepted")
    if signal.session:
        draft.set(lease=replace(lease, session=signal.session, session_url=signal.url or None))


def start_failed(draft: Draft, signal: AgentStartFailed) -> None:
    """The agent could not be started: say what must be mended, and let another one try."""
    if not _is_current(draft, signal.attempt) or draft.task.status is not Status.IN_PROGRESS:
        return
    send_back(
        draft,
        Feedback(
            key=f"start:{signal.attempt}",
            title=f"{draft.task.lease.agent if draft.task.lease else 'The agent'} could not be started",
            details=defuse(clean(mask_secrets(signal.reason), REASON_LIMIT)),
            at=draft.now,
        ),
        outcome="silent",
        cancel=False,
    )


def unavailable(draft: Draft, signal: AgentUnavailable) -> None:
    """The agent takes no work now. Nobody is to blame: the task goes back, and another one gets it."""
    lease = draft.task.lease
    if lease is None or lease.attempt != signal.attempt or draft.task.status is not Status.IN_PROGRESS:
        return
    reason = defuse(one_line(mask_secrets(signal.reason), 300))
    draft.tell(EventType.TASK_SENT_BACK, reason=reason, outcome="unavailable", until=signal.until.isoformat())
    end_attempt(draft, "unavailable", reason, blamed=False, cancel=False)
    draft.move(Trigger.SENT_BACK)
    settle(draft)


def seen(draft: Draft, signal: AgentSeen) -> None:
    """News of the agent's work on an attempt."""
    lease = draft.task.lease
    if lease is None or lease.attempt != signal.attempt:
        draft.tell(EventType.LATE_RESULT, attempt=signal.attempt, session=signal.session, state=signal.state)
        return
    if _is_of_an_earlier_session(signal.session, lease.session):
        return
    if signal.session and lease.session != signal.session:
        draft.set(lease=replace(lease, session=signal.session, session_url=signal.url or None))
    if signal.state.ended:
        _ended(draft, signal)
    elif signal.state in (SessionState.QUEUED, SessionState.PAUSED) and draft.task.lease:
        # It has not begun, or waits for something, but it is there. Slow is not dead.
        draft.set(lease=replace(draft.task.lease, last_sign_at=draft.now))
    else:
        show_life(draft)


def _is_of_an_earlier_session(told: str | None, known: str | None) -> bool:
    """Whether news is of an earlier run of the same attempt: the ids of runs are numbers, and grow."""
    return bool(told and known and told.isdigit() and known.isdigit() and int(told) < int(known))


def show_life(draft: Draft) -> None:
    """A sign of life of the holder, if there is one: the first is its acknowledgement."""
    draft.moved_on()
    lease = draft.task.lease
    if lease is None:
        return
    if lease.acknowledged_at is None:
        draft.tell(EventType.TASK_ACKNOWLEDGED, stage="at work")
    draft.set(lease=replace(lease, acknowledged_at=lease.acknowledged_at or draft.now, last_sign_at=draft.now))


def _ended(draft: Draft, signal: AgentSeen) -> None:
    task = draft.task
    if task.pull is not None or not allows(task.status, Trigger.SENT_BACK):
        return  # the work is handed in; what becomes of it, the pull request tells
    run = f"[The run]({signal.url})" if signal.url else "The run"
    if signal.state is SessionState.DELIVERED:
        title = "The run ended without a pull request"
        details = f"{run} succeeded, but no pull request from the agreed branch was opened."
    else:
        how = defuse(one_line(signal.detail, 200)) or f"ended with {signal.state}"
        title = f"The run {how}"
        details = f"{run} {how} before it handed in any work."
    send_back(draft, Feedback(f"run:{signal.session or task.attempt}", title, details, draft.now), cancel=False)
