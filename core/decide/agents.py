"""What agents do to a task: they get it, begin, give signs of life, and end."""

from __future__ import annotations

from dataclasses import replace

from core.decide.attempts import send_back
from core.decide.draft import Draft
from core.effects import StartAgent
from core.events import EventType
from core.handoff import packet
from core.lifecycle import Trigger, allows
from core.links import branch_name
from core.sanitise import clean, defuse, mask_secrets
from core.signals import AgentStarted, AgentStartFailed, Assigned, RunSeen
from core.task import Actor, Choice, Feedback, Flag, Lease, Status

REASON_LIMIT = 5_000  # characters of an adapter's reason that are shown

# Conclusions of a workflow run that are not its own doing, with what they mean for a person who reads the card.
_NOT_RUN = {"cancelled": "was cancelled", "skipped": "was skipped", "action_required": "waits for approval"}


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
    lease = Lease(
        agent=agent,
        attempt=attempt,
        branch=branch_name(task.number, attempt),
        since=draft.now,
        acknowledged_at=draft.now if holder else None,
        holder_id=holder.id if holder else None,
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
    if _is_current(draft, signal.attempt):
        draft.tell(EventType.TASK_ACKNOWLEDGED, stage="start accepted")


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


def run_seen(draft: Draft, signal: RunSeen) -> None:
    """News of the workflow run that carries an attempt."""
    lease = draft.task.lease
    if lease is None or lease.attempt != signal.attempt:
        draft.tell(EventType.LATE_RESULT, attempt=signal.attempt, run=signal.run_id, status=signal.status)
        return
    if lease.run_id not in (None, signal.run_id) and signal.run_id < (lease.run_id or 0):
        return  # an earlier run of the same attempt; ids grow
    if lease.run_id != signal.run_id:
        draft.set(lease=replace(lease, run_id=signal.run_id, run_url=signal.url))
    if signal.status == "completed":
        _run_ended(draft, signal)
    elif signal.status == "in_progress":
        show_life(draft)
    elif draft.task.lease:
        # Queued, or waiting for an approval: it has not begun, but it is there. Slow is not dead.
        draft.set(lease=replace(draft.task.lease, last_sign_at=draft.now))


def show_life(draft: Draft) -> None:
    """A sign of life of the holder, if there is one: the first is its acknowledgement."""
    draft.moved_on()
    lease = draft.task.lease
    if lease is None:
        return
    if lease.acknowledged_at is None:
        draft.tell(EventType.TASK_ACKNOWLEDGED, stage="at work")
    draft.set(lease=replace(lease, acknowledged_at=lease.acknowledged_at or draft.now, last_sign_at=draft.now))


def _run_ended(draft: Draft, signal: RunSeen) -> None:
    task = draft.task
    if task.pull is not None or not allows(task.status, Trigger.SENT_BACK):
        return  # the work is handed in; what becomes of it, the pull request tells
    conclusion = signal.conclusion or "unknown"
    if conclusion == "success":
        title = "The run ended without a pull request"
        details = f"[The run]({signal.url}) succeeded, but no pull request from the agreed branch was opened."
    elif conclusion in _NOT_RUN:
        title = f"The run {_NOT_RUN[conclusion]}"
        details = f"[The run]({signal.url}) {_NOT_RUN[conclusion]} before it handed in any work."
    else:
        title = f"The run ended with {conclusion}"
        details = f"[The run]({signal.url}) ended with `{conclusion}` before it handed in any work."
    send_back(draft, Feedback(f"run:{signal.run_id}", title, details, draft.now), cancel=False)
