"""Applies events of a pull request to its task."""

from __future__ import annotations

from dataclasses import replace

from core.assignment.agent_state import StateChangeKind
from core.audit.events import EventType
from core.decide.agents import record_heartbeat, record_late_result
from core.decide.attempts import end_attempt, end_review, send_back
from core.decide.builder import DecisionBuilder
from core.decide.completion import evaluate_completion
from core.effects.base import ClosePull, Comment, ReadChecks, RequestTrialMerge
from core.handoff.feedback import Feedback
from core.signals.base import PullFacts, PullSeen
from core.task.lifecycle import Trigger, can_apply
from core.task.model import ChecksState, Flag, Pull, Role, Status
from core.texts import wrong_agent_comment


def on_pull_seen(builder: DecisionBuilder, signal: PullSeen) -> None:
    """A pull request of the task was opened, pushed to, closed, merged, or read again."""
    task, facts = builder.task, signal.pull
    current = task.pull if task.pull and task.pull.number == facts.number else None
    if facts.from_fork:
        return  # forks are never trusted; a person may still merge one and then close the issue
    if current and facts.updated_at < current.updated_at:
        return
    if current and current.merged:
        return  # nothing follows a merge
    if facts.merged:
        _on_pull_merged(builder, facts, current)
    elif current is None:
        if facts.open and _can_link(builder, signal):
            _link_pull(builder, facts)
        elif facts.open:
            agent = signal.agent_names[0] if signal.agent_names and len(signal.agent_names) == 1 else None
            record_late_result(
                builder, signal.attempt, agent_name=agent, pull=facts.number, branch=facts.branch, head=facts.head_sha
            )
            if (
                signal.attempt is None
                and signal.agent_names is not None
                and not _is_holder(builder, signal.agent_names)
            ):
                builder.add_effect(Comment(facts.number, "not-theirs", wrong_agent_comment(task, signal.agent_names)))
    elif not facts.open:
        _on_pull_closed(builder, signal, current)
    else:
        _on_pull_updated(builder, facts, current)


def _can_link(builder: DecisionBuilder, signal: PullSeen) -> bool:
    """Whether this pull request carries the task's current attempt."""
    task, lease = builder.task, builder.task.lease
    if not can_apply(task.status, Trigger.PULL_OPENED):
        return False
    if signal.attempt is not None:
        return lease is not None and lease.attempt == signal.attempt and lease.role is Role.IMPLEMENT
    if lease and lease.role is Role.PLAN and signal.pull.draft:
        return False  # planning is not finished; a draft beside it changes nothing
    facts = signal.pull
    if signal.agent_names is not None and (
        not _is_holder(builder, signal.agent_names) or facts.number in {attempt.pull for attempt in task.history}
    ):
        return False  # of an agent that does not hold the task, or held it in an earlier attempt
    if facts.draft and not (lease and (facts.author.is_bot or facts.author.id == lease.holder_id)):
        return False  # a person's draft does not take the task from its holder
    if any(
        attempt.pull == facts.number and attempt.feedback and attempt.feedback.sha == facts.head_sha
        for attempt in task.history
    ):
        return False  # the commit that was already rejected
    # The branch does not say: a writer's pull request counts (with or without a lease), a stranger's does not.
    return signal.author_can_write


def _is_holder(builder: DecisionBuilder, agents: tuple[str, ...]) -> bool:
    lease = builder.task.lease
    return lease is not None and lease.worker in agents


def _attach_pull(builder: DecisionBuilder, facts: PullFacts) -> None:
    """Link this pull request to the task. If the task had no holder, this starts a new attempt."""
    if builder.task.lease is None:
        builder.update_task(attempt=builder.task.attempt + 1, choice=None)
    builder.update_task(pull=_pull_from_facts(builder, facts))


def _pull_from_facts(builder: DecisionBuilder, facts: PullFacts) -> Pull:
    return Pull(
        number=facts.number,
        attempt=builder.task.attempt,
        branch=facts.branch,
        base=facts.base,
        head_sha=facts.head_sha,
        url=facts.url,
        author=facts.author,
        updated_at=facts.updated_at,
        head_seen_at=builder.now,
        draft=facts.draft,
        open=facts.open,
        merged=facts.merged,
        merge_sha=facts.merge_sha,
    )


def _link_pull(builder: DecisionBuilder, facts: PullFacts) -> None:
    task = builder.task
    _stop_planning(builder, facts)
    _attach_pull(builder, facts)
    record_heartbeat(builder)
    builder.record_progress()
    builder.add_effect(
        *(
            ClosePull(task.number, attempt.pull)
            for attempt in task.history
            if attempt.pull and attempt.pull != facts.number
        )
    )
    if facts.draft:
        # Not handed in yet, but it shows that the agent is alive and where it will conflict.
        request_trial_merge(builder, builder.update_pull())
        return
    start_review(builder)


def _stop_planning(builder: DecisionBuilder, facts: PullFacts) -> None:
    """Stop planning: work that exists needs no plan."""
    if builder.task.lease and builder.task.lease.role is Role.PLAN:
        end_attempt(builder, "released", f"#{facts.number} was opened in the meantime", counts_against_agent=False)


def start_review(builder: DecisionBuilder) -> None:
    """The pull request is handed in: the task moves to review."""
    feedback = builder.task.pull.requested_changes if builder.task.pull else None
    if feedback and builder.task.pull and feedback.sha == builder.task.pull.head_sha:
        send_back(builder, feedback)  # the commit for which changes were requested while it was a draft
        return
    builder.transition(Trigger.PULL_OPENED)
    if (lease := builder.task.lease) and lease.holder_id is None:
        builder.update_agent(lease.agent, StateChangeKind.DELIVERED)
    pull = builder.update_pull(head_seen_at=builder.now)
    builder.add_event(EventType.TASK_REVIEW, pull=pull.number, head=pull.head_sha)
    check_pull(builder, pull)


def check_pull(builder: DecisionBuilder, pull: Pull) -> None:
    """Request a trial merge and the checks; both return as signals."""
    request_trial_merge(builder, pull)
    builder.add_effect(ReadChecks(builder.task.number, pull.head_sha))


def request_trial_merge(builder: DecisionBuilder, pull: Pull) -> None:
    """Request a trial merge with the base and the other pull requests; the result returns as a signal."""
    builder.add_effect(RequestTrialMerge(builder.task.number, pull.number, pull.branch, pull.base, pull.head_sha))


def _on_pull_updated(builder: DecisionBuilder, facts: PullFacts, current: Pull) -> None:
    head_changed = facts.head_sha != current.head_sha or facts.base != current.base
    if head_changed or facts.updated_at > current.updated_at:  # else it was merely read again
        record_heartbeat(builder)
    if head_changed or facts.draft != current.draft:
        builder.record_progress()  # comments below it are no progress; some are the bot's own
    if head_changed:
        end_review(builder, "released", "new commits were pushed")
    elif facts.draft and not current.draft:
        end_review(builder, "released", "the pull request became a draft")
    pull = builder.update_pull(updated_at=facts.updated_at, draft=facts.draft, base=facts.base, open=True)
    if head_changed:
        pull = replace(
            pull,
            head_sha=facts.head_sha,
            head_seen_at=builder.now,
            checks=ChecksState.PENDING,
            checks_requested_at=None,
            check_wait_reason=None,
            mergeable_sha=None,
            merge_requested_sha=None,
            dod_fingerprint=None,
            is_dod_pending=False,
            conflict_fingerprint=None,
            trial_merge=None,
            base_sha=current.base_sha if facts.base == current.base else None,
        )
        builder.update_task(pull=pull)
        builder.task = builder.task.without_flags(Flag.BLOCKED)  # GitHub refused another commit
    if builder.task.status is Status.IN_PROGRESS and not facts.draft:
        start_review(builder)
    elif builder.task.status is Status.REVIEW and (head_changed or current.draft) and not facts.draft:
        check_pull(builder, pull)
    elif head_changed and builder.task.status in (Status.IN_PROGRESS, Status.REVIEW):
        request_trial_merge(builder, pull)
    evaluate_completion(builder)


def _on_pull_closed(builder: DecisionBuilder, signal: PullSeen, current: Pull) -> None:
    send_back(
        builder,
        Feedback(
            key=f"closed:{current.number}:{current.head_sha}",
            title="The pull request was closed without being merged",
            details=f"#{current.number} was closed without being merged. Its branch is `{current.branch}`.",
            created_at=builder.now,
        ),
        outcome="released" if signal.closed_by_us else "failed",
        counts_against_agent=not signal.closed_by_us,
    )


def _on_pull_merged(builder: DecisionBuilder, facts: PullFacts, current: Pull | None) -> None:
    """Apply a merge, whatever the task's state was: GitHub's state wins."""
    task = builder.task
    if task.status is Status.DONE:
        if task.pull is None and task.closed_by and not any(attempt.pull for attempt in task.history):
            # This merge closed the issue, although its event arrived only now.
            builder.update_task(pull=_pull_from_facts(builder, facts), closed_by=None)
            builder.add_effect(ReadChecks(task.number, facts.head_sha))
        return
    if current is None:
        is_earlier_pull = facts.number in {attempt.pull for attempt in task.history}
        if task.pull is not None or not (is_earlier_pull or can_apply(task.status, Trigger.PULL_OPENED)):
            builder.add_event(EventType.LATE_RESULT, pull=facts.number, merged=True)
            return
        if task.lease and task.lease.holder_id is None and is_earlier_pull:
            # An earlier attempt's work was merged after all; the agent of the next attempt may stop.
            end_attempt(builder, "released", f"#{facts.number} was merged in the meantime", counts_against_agent=False)
        _stop_planning(builder, facts)
        _attach_pull(builder, facts)
    else:
        same_head = current.head_sha == facts.head_sha
        builder.update_pull(
            merged=True,
            open=False,
            merge_sha=facts.merge_sha,
            updated_at=facts.updated_at,
            head_sha=facts.head_sha,
            checks=current.checks if same_head else ChecksState.PENDING,
            checks_requested_at=current.checks_requested_at if same_head else None,
            head_seen_at=current.head_seen_at if same_head else builder.now,
        )
    if can_apply(builder.task.status, Trigger.PULL_OPENED):
        builder.transition(Trigger.PULL_OPENED)
    if builder.task.pull and builder.task.pull.checks is ChecksState.PENDING:
        builder.add_effect(ReadChecks(task.number, facts.head_sha))
    evaluate_completion(builder)
