"""The ladder of a task that stands still: whoever it waits for is told, then another agent gets it, then a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.assignment.rules import choose
from core.audit.events import EventType
from core.commands.registry import at_least
from core.decide.attempts import give_up
from core.decide.builder import Draft
from core.decide.escalation import call_person
from core.decide.pulls import look_at
from core.effects.base import Comment, SteerAgent
from core.escalation.levels import levels
from core.escalation.model import Cause
from core.handoff.feedback import Feedback
from core.signals.base import AgentTold, PersonAnswered
from core.stall.model import Rung, Stall, StallCause
from core.stall.rules import LADDERS, climb_after, diagnose, said, steps
from core.task.deadlines import stall_after
from core.task.model import Attempt, Flag, Lease, Role, Status, Task
from core.text_safety.sanitize import code, defuse, mask_secrets, one_line
from core.texts import spoken
from core.texts.escalation import nudge_agent, nudge_people

_ITS_AGENT = frozenset({StallCause.NO_ACK, StallCause.NO_PUSH, StallCause.REVIEWER})


def due(draft: Draft) -> None:
    """Nothing has moved for too long: say why, climb the next rung, and look whether an answer was lost."""
    stall = _found(draft)
    ladder = LADDERS[stall.cause]
    while rung := next((rung for rung in ladder if rung not in stall.climbed), None):
        further = next((one for one in ladder[ladder.index(rung) + 1 :]), None)
        wait = climb_after(stall.after) if further else _rest(draft, stall)
        stall = replace(stall, climbed=(*stall.climbed, rung), next=further, next_at=draft.now + wait)
        draft.set(stall=stall)
        told = _climb(draft, stall, rung)
        if told is None:
            return  # the task went on to somebody else
        draft.tell(EventType.STALL_CLIMBED, lease=_lease(draft.task), rung=rung, reason=told or stall.reason)
        stall = draft.task.stall or stall
        if told:
            stall = replace(stall, tried=(*stall.tried, told))
        if rung is not Rung.REASSIGN:
            break  # what could not be handed on goes to a person at once
    else:
        stall = replace(stall, next=None, next_at=draft.now + _rest(draft, stall))
    _show(draft, stall)
    _look_again(draft)


def told(draft: Draft, signal: AgentTold) -> None:
    """The nudge reached the agent; or it takes no words, which is kept: nobody waits for an answer from it."""
    stall, lease = draft.task.stall, draft.task.lease_of(signal.attempt)
    if stall is None or lease is None or stall.topic != signal.topic:
        return
    who = code(lease.agent)
    why = f" ({defuse(one_line(mask_secrets(signal.reason), 150))})" if signal.reason else ""
    done = (
        f"The bot reminded {who}."
        if signal.taken
        else f"{who} cannot receive messages while it runs{why}, so no reminder was sent."
    )
    _show(draft, replace(stall, tried=(*stall.tried, done)))


def answered(draft: Draft, signal: PersonAnswered) -> None:
    """Somebody of those who were told what waits for them answers: no progress yet, but they have time for it."""
    stall, login = draft.task.stall, signal.actor.login
    if stall is None or stall.next is None or not stall.told or signal.actor.is_bot:
        return
    named = login.casefold() in {who.casefold() for who in stall.told}
    done = f"{code(login)} answered."
    if done not in stall.tried and (named or at_least(signal.permission, "write")):
        _show(draft, replace(stall, tried=(*stall.tried, done), next_at=draft.now + stall.after))


def _rest(draft: Draft, stall: Stall) -> timedelta:
    """When everything was tried, how long until the world is asked once more."""
    return max(stall.after, draft.policy.timeouts.stall_of(draft.task.priority.value))


def _found(draft: Draft) -> Stall:
    """The stall as it is now: a new one where there was none, or where another cause keeps the task."""
    task = draft.task
    cause, reason = diagnose(task, draft.policy, _whom(draft))
    if task.stall and cause in (task.stall.cause, StallCause.UNHEARD):
        return task.stall  # that the world was not heard, because it was just asked, explains nothing better
    after = stall_after(task, draft.policy.timeouts)
    since = task.stall.since if task.stall else max(task.status_since, task.reminded_at or task.status_since)
    stall = Stall(cause, reason, since, draft.now, after, draft.now)
    draft.tell(
        EventType.TASK_STALLED,
        lease=_lease(task),
        cause=cause,
        reason=reason,
        after=spoken(after),
        since=since.isoformat(),
    )
    return stall


def _show(draft: Draft, stall: Stall) -> None:
    draft.set(stall=stall)
    draft.task = draft.task.flagged(Flag.STALLED, said(stall))


def _climb(draft: Draft, stall: Stall, rung: Rung) -> str | None:
    """Do what the rung says; gives what was done in a sentence, empty where it is told later, None where it is over."""
    match rung:
        case Rung.LOOK:
            return ""
        case Rung.NUDGE:
            return _nudge(draft, stall)
        case Rung.REASSIGN:
            return _hand_on(draft, stall)
        case Rung.PERSON:
            return _call(draft, stall)


def _nudge(draft: Draft, stall: Stall) -> str:
    task, lease = draft.task, _lease(draft.task)
    if stall.cause in _ITS_AGENT and lease and lease.worker:
        text = nudge_agent(task, stall, lease, draft.now)
        draft.want(SteerAgent(task.number, lease.attempt, lease.agent, lease.session, lease.since, stall.topic, text))
        return ""  # whether it takes words, its adapter tells
    people = (lease.agent,) if lease and stall.cause in (StallCause.CLAIMED, *_ITS_AGENT) else _whom(draft)
    if not people:
        return "There is no person to notify."
    names = ", ".join(map(code, people))
    if draft.policy.dry_run:
        return f"Dry run: the bot would notify {names}."
    where = task.pull.number if task.pull and task.pull.open else task.number
    draft.want(Comment(where, stall.topic, nudge_people(stall, people, steps(task), draft.now)))
    draft.set(stall=replace(stall, told=people))
    return f"The bot notified {names}."


def _hand_on(draft: Draft, stall: Stall) -> str | None:
    """Another agent gets it, if one is free. A slow agent is left at work rather than nobody."""
    task, lease = draft.task, _lease(draft.task)
    if lease is None or lease.worker is None:
        return "No agent holds the task, so the bot did not reassign it."
    last = lease.role is Role.IMPLEMENT and task.failures + 1 >= draft.policy.limits.max_attempts
    if last:
        return "This is the last attempt, so the bot did not reassign the task."
    if lease.role is not Role.PLAN and (why := _nobody_else(draft, lease)):
        return why
    title = f"{lease.agent} made no progress"
    waited = spoken(draft.now - stall.since)
    feedback = Feedback(
        key=f"stalled:{lease.attempt}",
        title=title,
        details=f"{stall.reason} There has been no progress for {waited}. Any commits it pushed are on the "
        f"branch `{lease.branch}`.",
        at=draft.now,
    )
    draft.tell(EventType.STALL_CLIMBED, lease=lease, rung=Rung.REASSIGN, reason=f"{title} for {waited}")
    give_up(draft, lease, feedback, outcome="stalled", why=f"for {waited}")
    draft.moved_on()
    return None


def _nobody_else(draft: Draft, lease: Lease) -> str:
    """Why it cannot be handed on now; empty where another agent would get it at once."""
    task, policy = draft.task, draft.policy
    if task.missing or task.waits_for or task.held or task.approved_digest != task.text_digest:
        return "The task is not ready to be assigned again, so the bot did not reassign it."
    over = Attempt(
        lease.attempt, lease.agent, lease.since, draft.now, "stalled", "", lease.branch,
        blamed=lease.role is Role.IMPLEMENT, pull=task.pull.number if task.pull else None, role=lease.role,
    )  # fmt: skip
    after = replace(task, history=(*task.history, over))
    choice = choose(after, draft.context.agents, policy.scoring, draft.now, lease.role)
    stood = (one for one in task.counted if one.role is lease.role and one.outcome in ("silent", "stalled"))
    in_vain = {one.worker for one in stood}
    # Whoever stood still with it before may be chosen where nobody else is left: that helps nobody.
    return (
        "No other agent is free, so the bot did not reassign the task."
        if choice.agent in (None, lease.agent, *in_vain)
        else ""
    )


def _call(draft: Draft, stall: Stall) -> str:
    call = draft.task.escalation
    if call and call.cause is not Cause.STALLED:
        return "The bot has already called for a person for another reason."
    call_person(draft, stall.reason, Cause.STALLED, topic=stall.topic)
    return "The bot called for a person."


def _look_again(draft: Draft) -> None:
    """An answer of the world may have been lost: ask for all of them again."""
    pull = draft.task.pull
    if draft.task.status is Status.REVIEW and pull and pull.open and not pull.draft:
        draft.set_pull(mergeable_sha=None, merge_requested_sha=None)
        look_at(draft, pull)


def _lease(task: Task) -> Lease | None:
    return task.review or task.lease


def _whom(draft: Draft) -> tuple[str, ...]:
    """The people whom it would wait for: those who would be called first."""
    there = levels(draft.task, draft.policy.escalation, draft.context.codeowners, draft.now)
    return there[0].people if there else ()
