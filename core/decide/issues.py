"""Applies an issue's text, labels and state to its task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from config.repository import RepositoryConfig
from core.audit.events import EventType
from core.commands.ordering import PRIORITY, is_superseded, label_topics, record_instruction
from core.conflicts.summary import conflict_reason
from core.decide.attempts import end_attempt
from core.decide.builder import Context, Decision, DecisionBuilder
from core.decide.completion import complete_task, evaluate_completion
from core.decide.conflicts import ignore_conflict
from core.decide.holds import hold_task, lift_hold, release_hold
from core.decide.readiness import check_readiness
from core.intake.classifier import DEFAULT_RULES, Classification, ClassificationRules, classify
from core.signals.base import IssueFacts, IssueSeen
from core.task.labels import (
    TASK_LABEL,
    capability_from_label,
    closest_label,
    is_task,
    kind_from_label,
    priority_from_labels,
    status_from_label,
)
from core.task.lifecycle import Trigger, can_apply
from core.task.model import Flag, Kind, Priority, Status, Task
from core.text_safety.sanitize import one_line

TITLE_LIMIT = 256  # GitHub's own limit for a title
UNKNOWN_USER = "unknown"  # the login of a user whom a missed event does not name


def text_digest(title: str, body: str) -> str:
    """Identifies the exact text of an issue, so that an approval covers only that text."""
    return hashlib.sha256(f"{title}\0{body}".encode(errors="surrogatepass")).hexdigest()


def _classify(issue: IssueFacts, policy: RepositoryConfig) -> Classification:
    """Classify by the built-in words and the repository's own.

    Title, goal and criteria determine the kind of work; "tests cover it" under Definition of done does not.
    """
    config = policy.classification
    rules = ClassificationRules(
        functional=(*DEFAULT_RULES.functional, *config.functional),
        non_functional=(*DEFAULT_RULES.non_functional, *config.non_functional),
    )
    description = "\n".join((issue.intake.goal, *(criterion.text for criterion in issue.intake.criteria)))
    return classify(issue.title, description, rules)


def on_issue_seen(task: Task | None, signal: IssueSeen, context: Context) -> Decision:
    """An issue was opened, edited, labelled, closed, reopened, or read again."""
    issue = signal.issue
    if task is None:
        if not is_task(issue.labels) or not (issue.open or signal.was_open):
            return Decision(None)
        builder = DecisionBuilder(_new_task(issue, context), context, is_new=True)
        builder.add_event(EventType.TASK_CREATED, actor=issue.author.login, title=builder.task.title)
    else:
        builder = DecisionBuilder(task, context)
        if issue.updated_at < task.issue_updated_at:
            # The event is old, but an approval of the present text is valid even if it arrives late.
            if not task.untracked and text_digest(issue.title, issue.body) == task.text_digest:
                _apply_approval(builder, signal)
                check_readiness(builder)
            return builder.build()
        if task.untracked:
            if not is_task(issue.labels) or signal.sender_is_us:
                # The task is withdrawn; but tasks that wait for it must still learn when it is closed.
                builder.update_task(issue_open=issue.open, issue_updated_at=issue.updated_at)
                return builder.build()
            builder.update_task(untracked=False)
            if issue.open and task.status is Status.FAILED:
                reopen_task(builder)
    _apply_text(builder, signal)
    _apply_forecast(builder, signal)
    steps = _label_steps(signal)
    for step, _ in steps:
        _apply_approval(builder, step)
    if not signal.sender_is_us:
        _apply_instructions(builder, signal, steps)
    if not signal.sender_is_us and not builder.task.untracked:
        _apply_issue_state(builder, signal)
    builder.update_task(issue_open=issue.open, issue_updated_at=issue.updated_at)
    check_readiness(builder)
    evaluate_completion(builder)
    # What another bot just did is corrected later by reconcile: two bots that answer each other never end.
    is_bot_change = signal.sender_is_us or (signal.sender is not None and signal.sender.is_bot)
    return builder.build(None if is_bot_change else issue.labels)


def _label_steps(signal: IssueSeen) -> list[tuple[IssueSeen, datetime | None]]:
    """The label changes in order: first those without an event, with their times, then the event itself."""
    missed = [
        (
            replace(
                signal,
                sender=change.actor,
                sender_can_write=change.can_write,
                sender_is_us=False,
                label=change.label,
                label_added=change.added,
                missed_changes=(),
            ),
            change.occurred_at,
        )
        for change in signal.missed_changes
        if change.label
    ]
    return [*missed, (signal, None)]


def _new_task(issue: IssueFacts, context: Context) -> Task:
    intake = issue.intake
    title = one_line(issue.title, TITLE_LIMIT)
    classification = _classify(issue, context.policy)
    label_kind = next((kind for label in sorted(issue.labels) if (kind := kind_from_label(label))), None)
    form_priority = Priority(intake.priority) if intake.priority else None
    return Task(
        repository_id=context.repository_id,
        repository=context.repository,
        number=issue.number,
        issue_id=issue.id,
        title=title,
        url=issue.url,
        author=issue.author,
        intake=intake,
        fingerprint=issue.fingerprint,
        text_digest="",
        issue_open=True,  # that it is closed now is a step of its own
        issue_updated_at=issue.updated_at,
        created_at=issue.created_at,
        status=Status.PENDING,
        status_since=context.now,
        priority=priority_from_labels(issue.labels, context.policy.priorities) or form_priority or Priority.P2,
        kind=label_kind or Kind(classification.kind),
        kind_reason=f"the issue had the label `type:{label_kind}` from the start"
        if label_kind
        else classification.reason,
        kind_overridden=label_kind is not None,
        required_capabilities=_required_capabilities(intake.required, issue.labels),
    )


def _required_capabilities(text_capabilities: tuple[str, ...], labels: frozenset[str]) -> tuple[str, ...]:
    label_capabilities = {name for label in labels if (name := capability_from_label(label))}
    return tuple(sorted(set(text_capabilities) | label_capabilities))


def _apply_text(builder: DecisionBuilder, signal: IssueSeen) -> None:
    issue, task = signal.issue, builder.task
    digest = text_digest(issue.title, issue.body)
    if digest != task.text_digest:
        intake = issue.intake
        changes: dict[str, object] = {}
        if not task.kind_overridden:
            classification = _classify(issue, builder.policy)
            changes = {"kind": Kind(classification.kind), "kind_reason": classification.reason}
        priority_changed = intake.priority and intake.priority != task.intake.priority
        if intake.priority and priority_changed and not is_superseded(task, (PRIORITY,), issue.updated_at):
            changes["priority"] = Priority(intake.priority)
            builder.task = record_instruction(task, (PRIORITY,), issue.updated_at)
        removed = set(task.intake.required) - set(intake.required)
        if builder.previous is not None:
            builder.add_event(EventType.TASK_EDITED, actor=signal.sender.login if signal.sender else None)
        builder.update_task(
            title=one_line(issue.title, TITLE_LIMIT),
            url=issue.url,
            intake=intake,
            fingerprint=issue.fingerprint,
            text_digest=digest,
            required_capabilities=tuple(sorted((set(task.required_capabilities) - removed) | set(intake.required))),
            **changes,
        )


def _apply_forecast(builder: DecisionBuilder, signal: IssueSeen) -> None:
    """Store the forecast of the text. A hold by forecast is dropped; assignment checks the overlap again."""
    if signal.forecast is None:
        return
    previous, current_hold = builder.task.forecast, builder.task.hold
    builder.update_task(forecast=signal.forecast)
    if current_hold and current_hold.is_forecast and previous and previous.files != signal.forecast.files:
        lift_hold(builder)


def _apply_approval(builder: DecisionBuilder, signal: IssueSeen) -> None:
    """Approve the text if a user with write access wrote it, or labelled the issue as work to do.

    Other labels do not approve: a user who sets a priority may not have read what a stranger just wrote. (Besides its
    author only users with write access can edit an issue, so a writer's issue holds writers' words.)
    """
    if not signal.sender or not signal.sender_can_write or not signal.issue.open:
        return
    label = signal.label or ""
    approves = signal.label_added and (is_task({label}) or status_from_label(label) is Status.READY)
    if approves or not label or signal.sender.id == signal.issue.author.id:
        builder.update_task(approved_digest=builder.task.text_digest, approved_by=signal.sender.login)


def _apply_instructions(
    builder: DecisionBuilder, signal: IssueSeen, steps: Sequence[tuple[IssueSeen, datetime | None]]
) -> None:
    """Apply people's label changes in order. Other bots cannot instruct."""
    if not is_task(signal.issue.labels):
        # Compared with the issue, not only from the event, which may have been lost.
        remover = next((step for step, _ in reversed(steps) if _removes_task_label(step)), signal).sender
        if remover is None or not remover.is_bot:
            _untrack(builder, remover.login if remover else UNKNOWN_USER)
        return
    if builder.previous is None:
        if signal.label:  # the change itself counts; but it supersedes earlier instructions
            topics = label_topics(signal.label, builder.policy.priorities, added=signal.label_added)
            builder.task = record_instruction(builder.task, topics, signal.occurred_at or signal.issue.updated_at)
        return
    status_since = builder.previous.status_since.replace(microsecond=0)  # GitHub's clock ticks in seconds
    for step, at in steps:
        if step.sender is None or step.sender.is_bot or step.label is None:
            continue
        if at is not None and at < status_since and status_from_label(step.label):
            continue  # it was about a status that is over
        topics = label_topics(step.label, builder.policy.priorities, added=step.label_added)
        step_at = at or signal.occurred_at or signal.issue.updated_at
        if not is_superseded(builder.task, topics, step_at):
            builder.task = record_instruction(builder.task, topics, step_at)
            _apply_instruction(builder, step, step.label, step.sender.login, is_late=bool(topics) and at is None)


def _removes_task_label(step: IssueSeen) -> bool:
    return step.label is not None and is_task({step.label}) and not step.label_added


def _untrack(builder: DecisionBuilder, login: str) -> None:
    abandon_task(builder, login, f"@{login} removed the label `task`")
    builder.update_task(untracked=True)
    builder.add_event(EventType.INSTRUCTION, actor=login, label=TASK_LABEL, added=False)


def _apply_instruction(builder: DecisionBuilder, signal: IssueSeen, label: str, login: str, *, is_late: bool) -> None:
    """Apply a label that a person added or removed: it is an instruction, and wins.

    `is_late`: it counts although the label is gone, because the event about the later change is still to come.
    """
    task = builder.task
    current_labels = {other_label.casefold() for other_label in signal.issue.labels}
    if not is_late and signal.label_added and label.casefold() not in current_labels:
        return  # already answered, or removed again
    capability = capability_from_label(label)
    if capability:
        added = {capability} if signal.label_added else set()
        builder.update_task(
            required_capabilities=tuple(sorted((set(task.required_capabilities) - {capability}) | added))
        )
    elif not signal.label_added and (label_priority := closest_label(label, builder.policy.priorities)):
        if task.priority is not label_priority:
            return  # superseded by a later instruction
        other_labels = frozenset(
            other_label for other_label in signal.issue.labels if closest_label(other_label, builder.policy.priorities)
        )
        text_priority = Priority(task.intake.priority) if task.intake.priority else Priority.P2
        builder.update_task(priority=priority_from_labels(other_labels, builder.policy.priorities) or text_priority)
    elif not signal.label_added:
        removed_flags = [flag for flag in task.flags if flag == label.casefold()]
        if not removed_flags:
            return  # the bot's own labels are restored; the removal of any other means nothing
        builder.task = task.without_flags(*removed_flags)
        if Flag.CONFLICT in removed_flags:
            ignore_conflict(builder, login)
            builder.update_task(dismissed_conflict=conflict_reason(builder.task) or "")
        if task.hold and Flag.BLOCKED in removed_flags:
            release_hold(builder, login)
    elif label.casefold() == Flag.BLOCKED:
        if task.hold is None and task.is_open:
            hold_task(builder, login, "the label was added")
    elif priority := priority_from_labels(frozenset({label}), builder.policy.priorities):
        builder.update_task(priority=priority)
    elif kind := kind_from_label(label):
        builder.update_task(kind=kind, kind_overridden=True, kind_reason=f"set by @{login}")
    elif status := status_from_label(label):
        _apply_status(builder, status, signal)
    else:
        return
    builder.add_event(EventType.INSTRUCTION, actor=login, label=label, added=signal.label_added)


def abandon_task(builder: DecisionBuilder, login: str, reason: str) -> None:
    """A person does not want this task done, or not by the bot. A done task stays done."""
    if builder.task.status is Status.DONE:
        return
    if can_apply(builder.task.status, Trigger.ABANDONED):
        end_attempt(builder, "released", reason, counts_against_agent=False)
        builder.transition(Trigger.ABANDONED)
        builder.add_event(EventType.TASK_FAILED, actor=login, reason=reason)
    builder.update_task(flags={}, closed_by=login)


def _apply_status(builder: DecisionBuilder, status: Status, signal: IssueSeen) -> None:
    """Move to the status that the person asked for, by the transitions in the table."""
    task, login = builder.task, signal.sender.login if signal.sender else ""
    if status is task.status or not (signal.issue.open or status in (Status.DONE, Status.FAILED)):
        return  # no agent works on a closed issue
    match status:
        case Status.DONE:
            complete_task(builder, login=login)
        case Status.FAILED:
            abandon_task(builder, login, f"@{login} set status:failed")
        case Status.READY | Status.PENDING if can_apply(task.status, Trigger.RELEASED):
            end_attempt(builder, "released", f"@{login} set {signal.label}", counts_against_agent=False)
            builder.transition(Trigger.RELEASED)
        case Status.READY | Status.PENDING if can_apply(task.status, Trigger.REOPENED):
            reopen_task(builder)
        case _:
            pass  # in-progress and review follow from work; the labels are corrected


def _apply_issue_state(builder: DecisionBuilder, signal: IssueSeen) -> None:
    """Closing or reopening an issue is an instruction too."""
    issue, task = signal.issue, builder.task
    change_actor = next((change.actor for change in reversed(signal.missed_changes) if not change.label), signal.sender)
    login = change_actor.login if change_actor else UNKNOWN_USER
    is_merged = bool(task.pull and task.pull.merged)
    if task.issue_open and not issue.open:
        if issue.not_planned:
            abandon_task(builder, login, f"@{login} closed the issue as not planned")
        elif not is_merged:  # else the merge closed it; `evaluate_completion` decides whether it is done
            builder.update_task(issue_open=False)
            complete_task(builder, login=login)
    elif not task.issue_open and issue.open:
        if not task.is_open:
            reopen_task(builder)
            builder.add_event(EventType.TASK_REOPENED, actor=login)
        elif is_merged:
            end_attempt(builder, "released", f"@{login} reopened the issue after the merge", counts_against_agent=False)
            builder.transition(Trigger.RELEASED)
            builder.add_event(EventType.TASK_REOPENED, actor=login)


def reopen_task(builder: DecisionBuilder) -> None:
    """Start again from pending and reset the attempts."""
    builder.transition(Trigger.REOPENED)
    builder.update_task(
        pull=None,
        lease=None,
        review_lease=None,
        plan=None,
        closed_by=None,
        choice=None,
        retry_offset=len(builder.task.history),
        flags={},
    )
