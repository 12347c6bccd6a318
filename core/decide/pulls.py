"""What a pull request does to its task."""

from __future__ import annotations

from dataclasses import replace

from core.assignment.agent_state import Turn
from core.audit.events import EventType
from core.decide.agents import late, show_life
from core.decide.attempts import end_attempt, end_review, send_back
from core.decide.builder import Draft
from core.decide.completion import evaluate
from core.effects.base import ClosePull, Comment, ReadChecks, TryMerge
from core.handoff.feedback import Feedback
from core.signals.base import PullFacts, PullSeen
from core.task.lifecycle import Trigger, allows
from core.task.model import ChecksState, Flag, Pull, Role, Status
from core.texts import not_theirs


def seen(draft: Draft, signal: PullSeen) -> None:
    """A pull request of the task was opened, pushed to, closed, merged, or read again."""
    task, facts = draft.task, signal.pull
    current = task.pull if task.pull and task.pull.number == facts.number else None
    if facts.from_fork:
        return  # forks are never trusted; a person may still merge one, and then closes the issue
    if current and facts.updated_at < current.updated_at:
        return
    if current and current.merged:
        return  # nothing comes after a merge
    if facts.merged:
        _merged(draft, facts, current)
    elif current is None:
        if facts.open and _may_link(draft, signal):
            _link(draft, facts)
        elif facts.open:
            by = signal.workers[0] if signal.workers and len(signal.workers) == 1 else None
            late(draft, signal.attempt, by=by, pull=facts.number, branch=facts.branch, head=facts.head_sha)
            if signal.attempt is None and signal.workers is not None and not _holds(draft, signal.workers):
                draft.want(Comment(facts.number, "not-theirs", not_theirs(task, signal.workers)))
    elif not facts.open:
        _closed(draft, signal, current)
    else:
        _updated(draft, facts, current)


def _may_link(draft: Draft, signal: PullSeen) -> bool:
    """Whether this pull request carries the task's current attempt."""
    task, lease = draft.task, draft.task.lease
    if not allows(task.status, Trigger.PULL_OPENED):
        return False
    if signal.attempt is not None:
        return lease is not None and lease.attempt == signal.attempt and lease.role is Role.IMPLEMENT
    if lease and lease.role is Role.PLAN and signal.pull.draft:
        return False  # the plan is still being made; a sketch beside it changes nothing
    facts = signal.pull
    if signal.workers is not None and (
        not _holds(draft, signal.workers) or facts.number in {a.pull for a in task.history}
    ):
        return False  # of an agent that does not hold the task, or did so in an earlier attempt
    if facts.draft and not (lease and (facts.author.is_bot or facts.author.id == lease.holder_id)):
        return False  # a person's sketch takes nothing out of anybody's hands
    if any(a.pull == facts.number and a.feedback and a.feedback.sha == facts.head_sha for a in task.history):
        return False  # the very commit that was found wanting
    # The branch does not say: a writer's pull request counts (with or without a lease), a stranger's does not.
    return signal.author_can_write


def _holds(draft: Draft, agents: tuple[str, ...]) -> bool:
    lease = draft.task.lease
    return lease is not None and lease.worker in agents


def _carry(draft: Draft, facts: PullFacts) -> None:
    """From now on this pull request carries the task. Where nobody held it, that is an attempt of its own."""
    if draft.task.lease is None:
        draft.set(attempt=draft.task.attempt + 1, choice=None)
    draft.set(pull=_pull(draft, facts))


def _pull(draft: Draft, facts: PullFacts) -> Pull:
    return Pull(
        number=facts.number,
        attempt=draft.task.attempt,
        branch=facts.branch,
        base=facts.base,
        head_sha=facts.head_sha,
        url=facts.url,
        author=facts.author,
        updated_at=facts.updated_at,
        head_seen_at=draft.now,
        draft=facts.draft,
        open=facts.open,
        merged=facts.merged,
        merge_sha=facts.merge_sha,
    )


def _link(draft: Draft, facts: PullFacts) -> None:
    task = draft.task
    _stop_planning(draft, facts)
    _carry(draft, facts)
    show_life(draft)
    draft.moved_on()
    draft.want(*(ClosePull(task.number, a.pull) for a in task.history if a.pull and a.pull != facts.number))
    if facts.draft:
        # Not handed in yet; it shows that the agent lives, and where it is about to collide with others.
        try_merge(draft, draft.set_pull())
        return
    hand_in(draft)


def _stop_planning(draft: Draft, facts: PullFacts) -> None:
    """Work that is there needs no plan."""
    if draft.task.lease and draft.task.lease.role is Role.PLAN:
        end_attempt(draft, "released", f"#{facts.number} was opened in the meantime", blamed=False)


def hand_in(draft: Draft) -> None:
    """The work is handed in with the pull request that carries it."""
    asked = draft.task.pull.asked if draft.task.pull else None
    if asked and draft.task.pull and asked.sha == draft.task.pull.head_sha:
        send_back(draft, asked)  # the very commit of which changes were asked for while it was a draft
        return
    draft.move(Trigger.PULL_OPENED)
    if (lease := draft.task.lease) and lease.holder_id is None:
        draft.of_agent(lease.agent, Turn.DELIVERED)
    pull = draft.set_pull(head_seen_at=draft.now)
    draft.tell(EventType.TASK_REVIEW, pull=pull.number, head=pull.head_sha)
    look_at(draft, pull)


def look_at(draft: Draft, pull: Pull) -> None:
    """Try the merge and read the checks; both come back as signals."""
    try_merge(draft, pull)
    draft.want(ReadChecks(draft.task.number, pull.head_sha))


def try_merge(draft: Draft, pull: Pull) -> None:
    """Merge it with its base and the others; the verdict comes back as a signal."""
    draft.want(TryMerge(draft.task.number, pull.number, pull.branch, pull.base, pull.head_sha))


def _updated(draft: Draft, facts: PullFacts, current: Pull) -> None:
    new_head = facts.head_sha != current.head_sha or facts.base != current.base
    if new_head or facts.updated_at > current.updated_at:  # else it was merely read again
        show_life(draft)
    if new_head or facts.draft != current.draft:
        draft.moved_on()  # words below it move nothing; some of them are ours
    if new_head:
        end_review(draft, "released", "new commits were pushed")
    elif facts.draft and not current.draft:
        end_review(draft, "released", "the pull request became a draft")
    pull = draft.set_pull(updated_at=facts.updated_at, draft=facts.draft, base=facts.base, open=True)
    if new_head:
        pull = replace(
            pull,
            head_sha=facts.head_sha,
            head_seen_at=draft.now,
            checks=ChecksState.PENDING,
            checks_asked_at=None,
            checks_wait=None,
            mergeable_sha=None,
            merge_requested_sha=None,
            dod_shown=None,
            dod_waits=False,
            conflict_shown=None,
            trial=None,
            base_sha=current.base_sha if facts.base == current.base else None,
        )
        draft.set(pull=pull)
        draft.task = draft.task.unflagged(Flag.BLOCKED)  # what GitHub refused was another commit
    if draft.task.status is Status.IN_PROGRESS and not facts.draft:
        hand_in(draft)
    elif draft.task.status is Status.REVIEW and (new_head or current.draft) and not facts.draft:
        look_at(draft, pull)
    elif new_head and draft.task.status in (Status.IN_PROGRESS, Status.REVIEW):
        try_merge(draft, pull)
    evaluate(draft)


def _closed(draft: Draft, signal: PullSeen, current: Pull) -> None:
    send_back(
        draft,
        Feedback(
            key=f"closed:{current.number}:{current.head_sha}",
            title="The pull request was closed without being merged",
            details=f"#{current.number} was closed without being merged. Its branch is `{current.branch}`.",
            at=draft.now,
        ),
        outcome="released" if signal.closed_by_us else "failed",
        blamed=not signal.closed_by_us,
    )


def _merged(draft: Draft, facts: PullFacts, current: Pull | None) -> None:
    """A merge is a fact, whatever we thought of the pull request: the world wins over our bookkeeping."""
    task = draft.task
    if task.status is Status.DONE:
        if task.pull is None and task.closed_by and not any(a.pull for a in task.history):
            # The issue was closed by this merge, of which we hear only now.
            draft.set(pull=_pull(draft, facts), closed_by=None)
            draft.want(ReadChecks(task.number, facts.head_sha))
        return
    if current is None:
        known = facts.number in {a.pull for a in task.history}
        if task.pull is not None or not (known or allows(task.status, Trigger.PULL_OPENED)):
            draft.tell(EventType.LATE_RESULT, pull=facts.number, merged=True)
            return
        if task.lease and task.lease.holder_id is None and known:
            # An earlier attempt's work was taken after all; whoever is at the next one may stop.
            end_attempt(draft, "released", f"#{facts.number} was merged in the meantime", blamed=False)
        _stop_planning(draft, facts)
        _carry(draft, facts)
    else:
        same_head = current.head_sha == facts.head_sha
        draft.set_pull(
            merged=True,
            open=False,
            merge_sha=facts.merge_sha,
            updated_at=facts.updated_at,
            head_sha=facts.head_sha,
            checks=current.checks if same_head else ChecksState.PENDING,
            checks_asked_at=current.checks_asked_at if same_head else None,
            head_seen_at=current.head_seen_at if same_head else draft.now,
        )
    if allows(draft.task.status, Trigger.PULL_OPENED):
        draft.move(Trigger.PULL_OPENED)
    if draft.task.pull and draft.task.pull.checks is ChecksState.PENDING:
        draft.want(ReadChecks(task.number, facts.head_sha))
    evaluate(draft)
