"""What an issue's text, labels and state do to its task."""

from __future__ import annotations

import hashlib

from config.repository import RepositoryConfig
from core.classify import DEFAULT_RULES, Classification, ClassificationRules, classify
from core.decide.attempts import end_attempt
from core.decide.draft import Context, Decision, Draft
from core.decide.finish import complete, evaluate
from core.decide.readying import check_readiness
from core.events import EventType
from core.labels import TASK, capability_in, kind_in, priority_in, status_in
from core.lifecycle import Trigger, allows
from core.sanitise import one_line
from core.signals import IssueFacts, IssueSeen
from core.task import Kind, Priority, Status, Task

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
        if TASK not in issue.labels or not issue.open:
            return Decision(None)
        draft = Draft(_new(issue, context), context, is_new=True)
        draft.tell(EventType.TASK_CREATED, actor=issue.author.login, title=draft.task.title)
    else:
        if issue.updated_at < task.issue_updated_at:
            return Draft(task, context).conclude()
        draft = Draft(task, context)
        if task.withdrawn:
            if TASK not in issue.labels:
                return draft.conclude()
            draft.set(withdrawn=False)
            if allows(task.status, Trigger.REOPENED):
                draft.move(Trigger.REOPENED)
    _take_text(draft, signal)
    if not signal.sender_is_us:
        _take_instruction(draft, signal)
        _take_state(draft, signal)
    draft.set(issue_open=issue.open, issue_updated_at=issue.updated_at)
    check_readiness(draft)
    evaluate(draft)
    return draft.conclude()


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
        issue_open=issue.open,
        issue_updated_at=issue.updated_at,
        created_at=issue.created_at,
        status=Status.PENDING,
        status_since=context.now,
        priority=priority_in(issue.labels, context.policy.priorities) or by_form or Priority.P2,
        kind=overruled or Kind(classified.kind),
        kind_reason=classified.reason,
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
        if intake.priority and intake.priority != task.intake.priority:
            changes["priority"] = Priority(intake.priority)
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
    if signal.sender_can_write and signal.sender:
        draft.set(approved_digest=text, approved_by=signal.sender.login)


def _take_instruction(draft: Draft, signal: IssueSeen) -> None:
    """A label put on or taken off by a person is an instruction, and wins."""
    if signal.label is None or signal.sender is None or draft.before is None:
        return
    label, task, who = signal.label, draft.task, signal.sender.login
    capability = capability_in(label)
    if label == TASK and not signal.label_added:
        _withdraw(draft, who)
    elif capability:
        change = {capability} if signal.label_added else set()
        draft.set(required=tuple(sorted((set(task.required) - {capability}) | change)))
    elif not signal.label_added:
        return
    elif priority := priority_in(frozenset({label}), draft.policy.priorities):
        draft.set(priority=priority)
    elif kind := kind_in(label):
        draft.set(kind=kind, kind_overruled=True, kind_reason=f"set by @{who}")
    elif status := status_in(label):
        _ask_for_status(draft, status, signal)
    else:
        return
    draft.tell(EventType.INSTRUCTION, actor=who, label=label, added=signal.label_added)


def _withdraw(draft: Draft, who: str) -> None:
    end_attempt(draft, "released", f"@{who} took the label `task` off", blamed=False)
    if allows(draft.task.status, Trigger.ABANDONED):
        draft.move(Trigger.ABANDONED)
    draft.set(withdrawn=True, flags={}, closed_by=who)


def _ask_for_status(draft: Draft, wanted: Status, signal: IssueSeen) -> None:
    """Drive towards the status that the person asked for, by the ways the table has."""
    task, who = draft.task, signal.sender.login if signal.sender else ""
    if wanted is task.status:
        return
    match wanted:
        case Status.DONE:
            complete(draft, by=who)
        case Status.FAILED if allows(task.status, Trigger.ABANDONED):
            end_attempt(draft, "released", f"@{who} set status:failed", blamed=False)
            draft.move(Trigger.ABANDONED)
            draft.set(closed_by=who)
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
    who = signal.sender.login if signal.sender else "somebody"
    if task.issue_open and not issue.open and task.is_open:
        if task.pull and task.pull.merged:
            return  # GitHub closed it with the merge; whether it is done, `evaluate` says
        if not issue.not_planned:
            complete(draft, by=who)
            return
        end_attempt(draft, "released", f"@{who} closed the issue as not planned", blamed=False)
        if allows(draft.task.status, Trigger.ABANDONED):
            draft.move(Trigger.ABANDONED)
        draft.set(closed_by=who)
        draft.tell(EventType.TASK_FAILED, actor=who, reason="closed as not planned")
    elif not task.issue_open and issue.open and not task.is_open:
        reopen(draft)
        draft.tell(EventType.TASK_REOPENED, actor=who)


def reopen(draft: Draft) -> None:
    """Back to the start, with a clean slate of attempts."""
    draft.move(Trigger.REOPENED)
    draft.set(
        pull=None,
        lease=None,
        closed_by=None,
        choice=None,
        retried_after=len(draft.task.history),
        flags={},
    )
