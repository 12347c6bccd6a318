"""Derives a task's deadlines from its state, so that no state is without one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from config.repository import Timeouts
from core.stall.model import CheckWaitReason
from core.task.model import ChecksState, Lease, Pull, Role, Status, Task


class DeadlineKind(StrEnum):
    """The kinds of deadlines of a task."""

    AUTHOR = "author"  # not ready: the author must add something
    QUEUE = "queue"  # ready: no agent has taken it
    ACK = "ack"  # assigned, for work or review: no sign yet that the agent started
    HEARTBEAT = "heartbeat"  # in progress: no sign of life
    ATTEMPT = "hard"  # in progress for too long
    POLL = "poll"  # in progress at a service that sends no events: it is polled
    CI = "ci"  # the pull request's checks have not ended
    STALL = "stall"  # in progress or in review without progress; then the next step
    PERSON = "person"  # failed: no person has reacted
    ESCALATION = "call"  # a person was notified, and has not answered or not fixed it
    HOLD = "held"  # held by a person: nothing happens when it is due, it starts again


class TargetKind(StrEnum):
    """What a deadline can belong to."""

    TASK = "task"  # by its number
    DEPENDENT = "dependent"  # a task, by its number; a dependency in another repository has changed
    AGENT = "agent"  # by its name
    EFFECT = "effect"  # by its id in the outbox
    DELIVERY = "delivery"  # by its GUID
    RETROSPECTIVE = "retrospective"  # the next one of the repository
    REPOSITORY = "repository"
    SERVICE = "service"  # the service itself, in no repository


class DeadlineTarget(NamedTuple):
    """What a deadline belongs to; `id` distinguishes targets of the same kind."""

    kind: str
    id: str = ""


def task_target(number: int) -> DeadlineTarget:
    """The target of a task's own deadlines."""
    return DeadlineTarget(TargetKind.TASK, str(number))


MAX_STALL_FACTOR = 3  # times the configured time: beyond that, asking the agent is better
POLL_TIMEOUT = timedelta(seconds=30)  # for GitHub to report the state of a run: one call, and a few retries


@dataclass(frozen=True, slots=True)
class Deadline:
    """One deadline of one task. When `due_at` has passed it returns as the signal `DeadlineDue`."""

    kind: DeadlineKind
    due_at: datetime
    attempt: int


def deadlines_of(task: Task, timeouts: Timeouts) -> tuple[Deadline, ...]:
    """All deadlines of a task in its present state; empty only if it is done."""
    due: dict[DeadlineKind, datetime] = {}
    wait_started_at = max(task.status_since, task.wait_restarted_at or task.status_since)
    is_paused = task.hold is not None and task.hold.is_paused
    if task.escalation and task.escalation.next_at and not is_paused:
        due[DeadlineKind.ESCALATION] = task.escalation.next_at
    if task.hold and task.is_open and (is_paused or task.status in (Status.PENDING, Status.READY)):
        due[DeadlineKind.HOLD] = wait_started_at + timeouts.stall
        for lease in filter(None, (task.lease, task.review_lease)):
            due |= _poll_deadline(lease)  # a service that sends no events is still polled
        return tuple(Deadline(kind, due_at, task.attempt) for kind, due_at in due.items())
    match task.status:
        case Status.PENDING:
            due[DeadlineKind.AUTHOR] = wait_started_at + timeouts.stall
        case Status.READY:
            due[DeadlineKind.QUEUE] = wait_started_at + timeouts.stall
        case Status.IN_PROGRESS if task.lease and task.lease.holder_id is None:
            due[DeadlineKind.STALL] = _stall_deadline(task, wait_started_at, timeouts)
            due |= _lease_deadlines(task.lease, timeouts)
        case Status.REVIEW | Status.IN_PROGRESS:
            due[DeadlineKind.STALL] = _stall_deadline(task, wait_started_at, timeouts)
            due |= _check_deadline(task.pull, timeouts)
            if task.review_lease and task.review_lease.holder_id is None:
                due |= _lease_deadlines(task.review_lease, timeouts)
        case Status.FAILED:
            due[DeadlineKind.PERSON] = wait_started_at + timeouts.stall
            due |= _check_deadline(task.pull, timeouts)
        case Status.DONE:
            pass
    # Only one of the two leases has deadlines at a time: the implementer waits while another agent reviews.
    return tuple(Deadline(kind, due_at, task.attempt) for kind, due_at in due.items())


def stall_threshold(task: Task, timeouts: Timeouts) -> timedelta:
    """How long nothing may move before the task counts as stalled.

    At least the configured time for its priority. For an agent at work it may be more, from how long this repository's
    agents took until they handed in (`core.assignment.stats.learned_work_time`): at most `MAX_STALL_FACTOR` times the
    configured time, and never more than a whole attempt. What only a person can start waits no longer than an agent may
    take to begin.
    """
    pull = task.pull
    if task.status is Status.REVIEW and pull and _awaits_approval(pull):
        return timeouts.ack
    configured = timeouts.stall_timeout(task.priority.value)
    learned = learned_work_time(task)
    return max(configured, min(learned, configured * MAX_STALL_FACTOR, timeouts.attempt)) if learned else configured


def learned_work_time(task: Task) -> timedelta | None:
    """How long the present agent may take, from what this repository's agents took; None if there is no data."""
    lease = task.lease
    at_work = task.status is Status.IN_PROGRESS and lease is not None and lease.role is Role.IMPLEMENT
    if not at_work or lease is None or lease.learned_timeout is None:
        return None
    return lease.learned_timeout.work


def _awaits_approval(pull: Pull) -> bool:
    return pull.open and pull.checks is ChecksState.PENDING and pull.check_wait_reason is CheckWaitReason.APPROVAL


def _stall_deadline(task: Task, wait_started_at: datetime, timeouts: Timeouts) -> datetime:
    return task.stall.next_at if task.stall else wait_started_at + stall_threshold(task, timeouts)


def _check_deadline(pull: Pull | None, timeouts: Timeouts) -> dict[DeadlineKind, datetime]:
    # Also for a pull request that was merged before its checks ended: the task is done only when they passed.
    if pull is None or pull.checks is not ChecksState.PENDING:
        return {}
    requested_at = pull.checks_requested_at
    return {DeadlineKind.CI: requested_at + timeouts.heartbeat if requested_at else pull.head_seen_at + timeouts.ack}


def _lease_deadlines(lease: Lease, timeouts: Timeouts) -> dict[DeadlineKind, datetime]:
    ack, heartbeat = timeouts.ack, timeouts.heartbeat
    if lease.learned_timeout:  # at least the configured time, also if that changed meanwhile
        ack, heartbeat = max(ack, lease.learned_timeout.ack), max(heartbeat, lease.learned_timeout.heartbeat)
    is_acknowledged = lease.acknowledged_at is not None
    kind, timeout = (DeadlineKind.HEARTBEAT, heartbeat) if is_acknowledged else (DeadlineKind.ACK, ack)
    silent_since = lease.silent_since
    # Before an agent is declared dead it is polled once: its run may be queued, or its event lost.
    checked_at = lease.silence_check_at if lease.silence_check_at and lease.silence_check_at > silent_since else None
    due = {
        kind: checked_at + POLL_TIMEOUT if checked_at else silent_since + timeout,
        DeadlineKind.ATTEMPT: lease.since + timeouts.attempt + lease.pause_duration,
    }
    return due | _poll_deadline(lease)


def _poll_deadline(lease: Lease) -> dict[DeadlineKind, datetime]:
    if not lease.poll_seconds:
        return {}
    return {DeadlineKind.POLL: (lease.last_poll_at or lease.since) + timedelta(seconds=lease.poll_seconds)}
