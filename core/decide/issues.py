"""What an issue's text, labels and state do to its task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from config.repository import RepositoryConfig
from core.audit.events import EventType
from core.commands.ordering import PRIORITY, is_overtaken, said, topics_of_label
from core.conflicts.summary import conflict_of
from core.decide.attempts import end_attempt
from core.decide.builder import Context, Decision, Draft
from core.decide.completion import complete, evaluate
from core.decide.conflicts import let_be
from core.decide.holds import hold, let_go, lift
from core.decide.readiness import check_readiness
from core.intake.classifier import DEFAULT_RULES, Classification, ClassificationRules, classify
from core.signals.base import IssueFacts, IssueSeen
from core.task.labels import TASK, capability_in, is_task, kind_in, priority_in, status_in, word_for
from core.task.lifecycle import Trigger, allows
from core.task.model import Flag, Kind, Priority, Status, Task
from core.text_safety.sanitize import one_line

TITLE_LIMIT = 256  # GitHub's own limit for a title


def digest(title: str, body: str) -> str:
    """Identifies the exact text of an issue, so that an approval covers that text and no other."""
    return hashlib.sha256(f"{title}\0{body}".encode(errors="surrogatepass")).hexdigest()


def _classify(issue: IssueFacts, policy: RepositoryConfig) -> Classification:
    """By the built-in words and the repository's own.

    Title, goal and criteria say what kind of work it is; "tests cover it" under Definition of done does not.
    """
    own = policy.classification
    rules = ClassificationRules(
        functional=(*DEFAULT_RULES.functional, *own.functional),
        non_functional=(*DEFAULT_RULES.non_functional, *own.non_functional),
    )
    wanted = "\n".join((issue.intake.goal, *(criterion.text for criterion in issue.intake.criteria)))
    return classify(issue.title, wanted, rules)


def seen(task: Task | None, signal: IssueSeen, context: Context) -> Decision:
    """An issue was opened, edited, labelled, closed, reopened, or read again."""
    issue = signal.issue
    if task is None:
        if not is_task(issue.labels) or not (issue.open or signal.was_open):
            return Decision(None)
        draft = Draft(_new(issue, context), context, is_new=True)
        draft.tell(EventType.TASK_CREATED, actor=issue.author.login, title=draft.task.title)
    else:
        draft = Draft(task, context)
        if issue.updated_at < task.issue_updated_at:
            # Old news, but an approval of the very text we know is none the worse for coming late.
            if not task.withdrawn and digest(issue.title, issue.body) == task.text_digest:
                _take_approval(draft, signal)
                check_readiness(draft)
            return draft.conclude()
        if task.withdrawn:
            if not is_task(issue.labels) or signal.sender_is_us:
                # Hands off; but those who wait for it still have to learn when it is closed.
                draft.set(issue_open=issue.open, issue_updated_at=issue.updated_at)
                return draft.conclude()
            draft.set(withdrawn=False)
            if issue.open and task.status is Status.FAILED:
                reopen(draft)
    _take_text(draft, signal)
    _take_forecast(draft, signal)
    steps = _steps(signal)
    for step, _ in steps:
        _take_approval(draft, step)
    if not signal.sender_is_us:
        _take_instructions(draft, signal, steps)
    if not signal.sender_is_us and not draft.task.withdrawn:
        _take_state(draft, signal)
    draft.set(issue_open=issue.open, issue_updated_at=issue.updated_at)
    check_readiness(draft)
    evaluate(draft)
    # What another bot just did is put right in time, by whoever compares: two bots that answer each other never end.
    answered = signal.sender_is_us or (signal.sender is not None and signal.sender.is_bot)
    return draft.conclude(None if answered else issue.labels)


def _steps(signal: IssueSeen) -> list[tuple[IssueSeen, datetime | None]]:
    """What was done to the labels, one after the other: of what no news came with its time, then the news itself."""
    unheard = [
        (
            replace(
                signal,
                sender=deed.actor,
                sender_can_write=deed.can_write,
                sender_is_us=False,
                label=deed.label,
                label_added=deed.added,
                deeds=(),
            ),
            deed.at,
        )
        for deed in signal.deeds
        if deed.label
    ]
    return [*unheard, (signal, None)]


def _new(issue: IssueFacts, context: Context) -> Task:
    intake = issue.intake
    title = one_line(issue.title, TITLE_LIMIT)
    classified = _classify(issue, context.policy)
    overruled = next((kind for label in sorted(issue.labels) if (kind := kind_in(label))), None)
    by_form = Priority(intake.priority) if intake.priority else None
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
        issue_open=True,  # that it is closed by now is a step of its own
        issue_updated_at=issue.updated_at,
        created_at=issue.created_at,
        status=Status.PENDING,
        status_since=context.now,
        priority=priority_in(issue.labels, context.policy.priorities) or by_form or Priority.P2,
        kind=overruled or Kind(classified.kind),
        kind_reason=f"the issue had the label `type:{overruled}` from the start" if overruled else classified.reason,
        kind_overruled=overruled is not None,
        required=_required(intake.required, issue.labels),
    )


def _required(from_text: tuple[str, ...], labels: frozenset[str]) -> tuple[str, ...]:
    named = {name for label in labels if (name := capability_in(label))}
    return tuple(sorted(set(from_text) | named))


def _take_text(draft: Draft, signal: IssueSeen) -> None:
    issue, task = signal.issue, draft.task
    text = digest(issue.title, issue.body)
    if text != task.text_digest:
        intake = issue.intake
        changes: dict[str, object] = {}
        if not task.kind_overruled:
            classified = _classify(issue, draft.policy)
            changes = {"kind": Kind(classified.kind), "kind_reason": classified.reason}
        other = intake.priority and intake.priority != task.intake.priority
        if intake.priority and other and not is_overtaken(task, (PRIORITY,), issue.updated_at):
            changes["priority"] = Priority(intake.priority)
            draft.task = said(task, (PRIORITY,), issue.updated_at)
        dropped = set(task.intake.required) - set(intake.required)
        if draft.before is not None:
            draft.tell(EventType.TASK_EDITED, actor=signal.sender.login if signal.sender else None)
        draft.set(
            title=one_line(issue.title, TITLE_LIMIT),
            url=issue.url,
            intake=intake,
            fingerprint=issue.fingerprint,
            text_digest=text,
            required=tuple(sorted((set(task.required) - dropped) | set(intake.required))),
            **changes,
        )


def _take_forecast(draft: Draft, signal: IssueSeen) -> None:
    """Another text may be no reason any more to wait behind another task; if it is, that is seen at hand-out."""
    if signal.forecast is None:
        return
    before, held = draft.task.forecast, draft.task.held
    draft.set(forecast=signal.forecast)
    if held and held.foreseen and before and before.files != signal.forecast.files:
        lift(draft)


def _take_approval(draft: Draft, signal: IssueSeen) -> None:
    """Somebody with write access who writes the text, or says by a label that this is work to do, approves it.

    Any other label does not: who sets a priority may not have read what a stranger has just written. (Besides its
    author only people with write access can edit an issue, so a writer's issue holds writers' words.)
    """
    if not signal.sender or not signal.sender_can_write or not signal.issue.open:
        return
    label = signal.label or ""
    approves = signal.label_added and (is_task({label}) or status_in(label) is Status.READY)
    if approves or not label or signal.sender.id == signal.issue.author.id:
        draft.set(approved_digest=draft.task.text_digest, approved_by=signal.sender.login)


def _take_instructions(draft: Draft, signal: IssueSeen, steps: Sequence[tuple[IssueSeen, datetime | None]]) -> None:
    """What people did to the labels, in order. Other bots instruct nobody."""
    if not is_task(signal.issue.labels):
        # Seen on the issue and not only in the news of it, which may have been lost.
        took = next((step for step, _ in reversed(steps) if _takes_task_off(step)), signal).sender
        if took is None or not took.is_bot:
            _withdraw(draft, took.login if took else "somebody")
        return
    if draft.before is None:
        if signal.label:  # it counts as it is; but what was said before it counts no more
            topics = topics_of_label(signal.label, draft.policy.priorities, added=signal.label_added)
            draft.task = said(draft.task, topics, signal.at or signal.issue.updated_at)
        return
    since = draft.before.status_since.replace(microsecond=0)  # GitHub's clock ticks in seconds
    for step, at in steps:
        if step.sender is None or step.sender.is_bot or step.label is None:
            continue
        if at is not None and at < since and status_in(step.label):
            continue  # it was said of a status that is over
        topics = topics_of_label(step.label, draft.policy.priorities, added=step.label_added)
        when = at or signal.at or signal.issue.updated_at
        if not is_overtaken(draft.task, topics, when):
            draft.task = said(draft.task, topics, when)
            _take_instruction(draft, step, step.label, step.sender.login, late=bool(topics) and at is None)


def _takes_task_off(step: IssueSeen) -> bool:
    return step.label is not None and is_task({step.label}) and not step.label_added


def _withdraw(draft: Draft, who: str) -> None:
    abandon(draft, who, f"@{who} removed the label `task`")
    draft.set(withdrawn=True)
    draft.tell(EventType.INSTRUCTION, actor=who, label=TASK, added=False)


def _take_instruction(draft: Draft, signal: IssueSeen, label: str, who: str, *, late: bool) -> None:
    """A label put on or taken off by a person is an instruction, and wins.

    `late`: it counts although the label is not there any more, because the news of what came after it is still to come.
    """
    task = draft.task
    there = {one.casefold() for one in signal.issue.labels}
    if not late and signal.label_added and label.casefold() not in there:
        return  # it was answered already, or taken off again
    capability = capability_in(label)
    if capability:
        change = {capability} if signal.label_added else set()
        draft.set(required=tuple(sorted((set(task.required) - {capability}) | change)))
    elif not signal.label_added and (word := word_for(label, draft.policy.priorities)):
        if task.priority is not word:
            return  # somebody said otherwise since
        others = frozenset(one for one in signal.issue.labels if word_for(one, draft.policy.priorities))
        in_text = Priority(task.intake.priority) if task.intake.priority else Priority.P2
        draft.set(priority=priority_in(others, draft.policy.priorities) or in_text)
    elif not signal.label_added:
        off = [flag for flag in task.flags if flag == label.casefold()]
        if not off:
            return  # the bot's own labels are put right; nothing else asks for anything by being gone
        draft.task = task.unflagged(*off)
        if Flag.CONFLICT in off:
            let_be(draft, who)
            draft.set(let_pass=conflict_of(draft.task) or "")
        if task.held and Flag.BLOCKED in off:
            let_go(draft, who)
    elif label.casefold() == Flag.BLOCKED:
        if task.held is None and task.is_open:
            hold(draft, who, "the label was added")
    elif priority := priority_in(frozenset({label}), draft.policy.priorities):
        draft.set(priority=priority)
    elif kind := kind_in(label):
        draft.set(kind=kind, kind_overruled=True, kind_reason=f"set by @{who}")
    elif status := status_in(label):
        _ask_for_status(draft, status, signal)
    else:
        return
    draft.tell(EventType.INSTRUCTION, actor=who, label=label, added=signal.label_added)


def abandon(draft: Draft, who: str, reason: str) -> None:
    """A person does not want this task done, or not by us. One that is done stays done."""
    if draft.task.status is Status.DONE:
        return
    if allows(draft.task.status, Trigger.ABANDONED):
        end_attempt(draft, "released", reason, blamed=False)
        draft.move(Trigger.ABANDONED)
        draft.tell(EventType.TASK_FAILED, actor=who, reason=reason)
    draft.set(flags={}, closed_by=who)


def _ask_for_status(draft: Draft, wanted: Status, signal: IssueSeen) -> None:
    """Drive towards the status that the person asked for, by the ways the table has."""
    task, who = draft.task, signal.sender.login if signal.sender else ""
    if wanted is task.status or not (signal.issue.open or wanted in (Status.DONE, Status.FAILED)):
        return  # nobody is sent to work on an issue that is closed
    match wanted:
        case Status.DONE:
            complete(draft, by=who)
        case Status.FAILED:
            abandon(draft, who, f"@{who} set status:failed")
        case Status.READY | Status.PENDING if allows(task.status, Trigger.RELEASED):
            end_attempt(draft, "released", f"@{who} set {signal.label}", blamed=False)
            draft.move(Trigger.RELEASED)
        case Status.READY | Status.PENDING if allows(task.status, Trigger.REOPENED):
            reopen(draft)
        case _:
            pass  # in-progress and review come about by work; the labels are set right again


def _take_state(draft: Draft, signal: IssueSeen) -> None:
    """An issue that a person closed or reopened is an instruction too."""
    issue, task = signal.issue, draft.task
    did = next((deed.actor for deed in reversed(signal.deeds) if not deed.label), signal.sender)
    who = did.login if did else "somebody"
    merged = bool(task.pull and task.pull.merged)
    if task.issue_open and not issue.open:
        if issue.not_planned:
            abandon(draft, who, f"@{who} closed the issue as not planned")
        elif not merged:  # else GitHub closed it with the merge; whether it is done, `evaluate` says
            draft.set(issue_open=False)
            complete(draft, by=who)
    elif not task.issue_open and issue.open:
        if not task.is_open:
            reopen(draft)
            draft.tell(EventType.TASK_REOPENED, actor=who)
        elif merged:
            end_attempt(draft, "released", f"@{who} reopened the issue after the merge", blamed=False)
            draft.move(Trigger.RELEASED)
            draft.tell(EventType.TASK_REOPENED, actor=who)


def reopen(draft: Draft) -> None:
    """Back to the start, with a clean slate of attempts."""
    draft.move(Trigger.REOPENED)
    draft.set(
        pull=None,
        lease=None,
        review=None,
        plan=None,
        closed_by=None,
        choice=None,
        retried_after=len(draft.task.history),
        flags={},
    )
