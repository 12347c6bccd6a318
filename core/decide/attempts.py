"""How an attempt ends: kept in the history, and the task goes back to the queue or to a person."""

from __future__ import annotations

from core.assignment.agent_state import Turn
from core.audit.events import EventType
from core.decide.builder import Draft
from core.decide.escalation import call_person
from core.decide.readiness import settle
from core.effects.base import CancelAgent, Comment
from core.escalation.model import Cause
from core.handoff.feedback import Feedback
from core.task.lifecycle import Trigger
from core.task.model import Attempt, Flag, Lease, Role, Status
from core.text_safety.sanitize import defuse, one_line
from core.texts import feedback_comment


def end_attempt(
    draft: Draft,
    outcome: str,
    reason: str,
    *,
    blamed: bool,
    feedback: Feedback | None = None,
    cancel: bool = True,
) -> None:
    """Put the current attempt into the history; nobody holds or reviews the task afterwards.

    `cancel` tells an agent that has not handed in yet, and so may still be at work, to stop.
    """
    end_review(draft, "released", reason)
    task = draft.task
    lease, pull = task.lease, task.pull
    if lease is None and pull is None:
        return
    attempt = Attempt(
        number=lease.attempt if lease else pull.attempt if pull else task.attempt,
        agent=lease.agent if lease else pull.author.login if pull else "",
        started_at=lease.since if lease else task.status_since,
        ended_at=draft.now,
        outcome=outcome,
        reason=reason,
        branch=lease.branch if lease else pull.branch if pull else "",
        blamed=blamed,
        pull=pull.number if pull else None,
        head_sha=pull.head_sha if pull else None,
        feedback=feedback,
        role=lease.role if lease else Role.IMPLEMENT,
        by_person=lease.holder_id is not None if lease else not (pull and pull.author.is_bot),
        merges=pull.trial.clean if pull and pull.trial else None,
    )
    if cancel and lease and lease.holder_id is None and task.status is Status.IN_PROGRESS:
        draft.want(CancelAgent(task.number, lease.attempt, lease.agent, lease.session))
    draft.set(history=(*task.history, attempt), lease=None, pull=None, choice=None)
    draft.task = draft.task.unflagged(Flag.CONFLICT, Flag.STALLED, Flag.BLOCKED)


def end_review(draft: Draft, outcome: str, reason: str, *, cancel: bool = True) -> None:
    """Put the present review into the history, if there is one. It is never held against the work."""
    task = draft.task
    lease, pull = task.review, task.pull
    if lease is None:
        return
    attempt = Attempt(
        number=lease.attempt,
        agent=lease.agent,
        started_at=lease.since,
        ended_at=draft.now,
        outcome=outcome,
        reason=reason,
        branch=lease.branch,
        blamed=False,
        pull=pull.number if pull else None,
        head_sha=pull.head_sha if pull else None,
        role=Role.REVIEW,
    )
    if cancel and lease.holder_id is None:
        draft.want(CancelAgent(task.number, lease.attempt, lease.agent, lease.session))
    draft.set(history=(*task.history, attempt), review=None)


def give_up(
    draft: Draft, lease: Lease, feedback: Feedback, *, outcome: str = "failed", cancel: bool = True, why: str = ""
) -> None:
    """An agent came to nothing. What follows depends on its part.

    The work itself must be done; a plan is only a help, and a review can be had of another. `why` is what the card says
    of those two, if the title is too little.
    """
    if lease.role is Role.IMPLEMENT:
        send_back(draft, feedback, outcome=outcome, cancel=cancel)
        return
    reason = one_line(f"{feedback.title}: {why}" if why else feedback.title, 300)
    draft.tell(EventType.TASK_SENT_BACK, lease=lease, reason=reason, outcome=outcome, role=lease.role)
    if outcome == "silent":
        draft.tell(EventType.AGENT_FAILED, lease=lease, reason=feedback.title)
        _tell_idle(draft, lease)
        draft.of_agent(lease.agent, Turn.FAILED, defuse(one_line(feedback.title, 150)))
    if lease.role is Role.REVIEW:
        end_review(draft, outcome, reason, cancel=cancel)
        return
    end_attempt(draft, outcome, reason, blamed=False, cancel=cancel)
    draft.move(Trigger.SENT_BACK)
    settle(draft)


def send_back(
    draft: Draft, feedback: Feedback, *, outcome: str = "failed", blamed: bool = True, cancel: bool = True
) -> None:
    """The attempt failed: back to the queue with feedback, or to a person when the attempts are used up."""
    task = draft.task
    where = task.pull.number if task.pull else task.number
    holder = task.lease.agent if task.lease else None
    draft.want(Comment(where, feedback.key, feedback_comment(task, feedback)))
    draft.tell(EventType.TASK_SENT_BACK, reason=feedback.title, outcome=outcome)
    if outcome == "stalled":
        _tell_idle(draft, task.lease)
    if outcome == "silent":
        draft.tell(EventType.AGENT_FAILED, reason=feedback.title)
        _tell_idle(draft, task.lease)
        if holder and task.lease and task.lease.holder_id is None:
            draft.of_agent(holder, Turn.FAILED, defuse(one_line(feedback.title, 150)))
    end_attempt(draft, outcome, feedback.title, blamed=blamed, feedback=feedback, cancel=cancel)
    limit = draft.policy.limits.max_attempts
    if draft.task.failures < limit:
        draft.move(Trigger.SENT_BACK)
        settle(draft)
        return
    draft.move(Trigger.ATTEMPTS_USED_UP)
    tried = f"{limit} attempts failed; the last one" if limit > 1 else "The attempt failed"
    reason = f"{tried}: {feedback.title}"
    draft.tell(EventType.TASK_FAILED, reason=reason, last_agent=holder)
    call_person(draft, reason, Cause.ATTEMPTS)


def _tell_idle(draft: Draft, lease: Lease | None) -> None:
    """Work that does not go on while somebody holds it is a conflict that others run into."""
    draft.tell(
        EventType.CONFLICT_DETECTED,
        lease=lease,
        kind="idle",
        tasks=[draft.task.number],
        agents=[lease.agent] if lease else [],
        severity="low",
    )
