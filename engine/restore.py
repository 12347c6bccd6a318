"""A lost memory made again: tasks, attempts, holders and waits of a repository, from its cards, labels and branches."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.agents.actions import task_in_run_name
from adapters.database import attempts, audit_log, escalations, repositories, store
from adapters.database import tables as t
from adapters.database.codec import effect_to_json, task_from_json, task_to_json
from adapters.database.jobs import SEND, EffectGroup
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.models.graphql import CommentNode, IssueHistory, IssueNode
from config.repository import RepositoryConfig
from core.assignment.stats import AttemptRecord, attempt_records
from core.audit.chain import events_with_changes
from core.audit.events import Event, EventType
from core.decide import Context, decide
from core.effects.base import UpsertCard
from core.intake.references import branch_name, parse_branch
from core.signals.base import IssueSeen
from core.task.deadlines import DeadlineTarget, TargetKind, deadlines_of, task_target
from core.task.labels import TASK_LABEL, status_from_label
from core.task.model import ChecksState, Lease, Status, Task
from core.texts import CARD_MARKER, card_text, comment_key
from engine import issue_reader
from engine.card_state import BadCardState, CardStateCodec
from engine.config_sync import FULL_RECONCILE, RECONCILE, REPOSITORY
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

_START_KEY = re.compile(r"start:(\d{1,9}):(\d{1,6})")  # the key of `StartAgent`, in the comment that called an agent
MAX_RUNS = 100  # workflow runs that are looked at, the latest
MAX_ATTEMPTS_AHEAD = 100  # attempts that a card may be behind: a branch with a much higher number is not the bot's


class NotEmptyError(Exception):
    """The database knows tasks already: it is never written over."""


@dataclass(frozen=True, slots=True)
class RestoredTask:
    """What became of one issue. `how` is `card`, `labels`, or empty where there is no task; `note` what is missing."""

    number: int
    title: str
    source: str
    task: Task | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What became of one repository; `problem` is why nothing did."""

    repository: str
    issues: tuple[RestoredTask, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _RestoreData:
    """What an issue remembers: the comment that is its card with the state in it, or why there is none."""

    node: IssueNode
    comment: CommentNode | None = None
    state: Mapping[str, object] | None = None
    note: str = ""
    last_called_attempt: int = 0  # the latest attempt for which an agent was called in a comment


async def restore_repository(
    work: UnitOfWorkFactory, github: GitHub, row: RepositoryRow, codec: CardStateCodec, bot_id: int
) -> RestoreReport:
    """Restore the tasks of a repository. Nothing is written to GitHub; the reconciler goes on from there.

    Raises NotEmptyError where the repository has tasks already.
    """
    policy = row.config
    if policy is None:
        return RestoreReport(row.full_name, problem="it has no (valid) configuration")
    last_number = await github.get_latest_number(row.full_name)
    restore_data = [
        await _read_card(github, row, node, codec, bot_id)
        async for node in github.list_issues_with_comments(row.full_name, TASK_LABEL)
    ]
    attempts = await _highest_attempts(github, row.full_name, restore_data)
    histories = await github.get_histories(
        row.full_name, [m.node.number for m in restore_data if m.node.state == "OPEN"]
    )
    now = work.now()
    restored = []
    for entry in restore_data:
        own_labels = _labels_set_by(histories.get(entry.node.number), bot_id) & entry.node.to_issue().label_names
        restored.append(await _restore_task(github, row, policy, entry, attempts, own_labels, now))
    async with work.database.transaction() as connection:
        await repositories.load_repository(connection, row.id, lock=True)
        if await store.has_tasks(connection, row.id):
            raise NotEmptyError(f"{row.full_name} already has tasks; only an empty database can be restored")
        by_number = {entry.node.number: entry for entry in restore_data}
        for restored_task in restored:
            if restored_task.task is not None:
                await _save_restored(
                    connection,
                    policy,
                    restored_task.task,
                    restored_task.source,
                    by_number[restored_task.number].comment,
                    now,
                )
        await repositories.update_repository(connection, row.id, restored_up_to_issue=last_number)
        await store.set_deadline(connection, row.id, REPOSITORY, RECONCILE, now, payload=FULL_RECONCILE)
    log.info(
        "restored", repository=row.full_name, tasks=sum(restored_task.task is not None for restored_task in restored)
    )
    return RestoreReport(row.full_name, tuple(restored))


async def has_tasks(github: GitHub, name: str, repository_id: int, codec: CardStateCodec, bot_id: int) -> bool:
    """Whether an open task of a repository has a card that we sealed."""
    async for node in github.list_issues_with_comments(name, TASK_LABEL, states=("OPEN",)):
        for comment in filter(None, node.comments.nodes):
            if comment.is_by(bot_id):
                with contextlib.suppress(BadCardState):
                    codec.read(comment.body, repository_id, node.number)
                    return True
    return False


async def _read_card(
    github: GitHub, row: RepositoryRow, node: IssueNode, codec: CardStateCodec, bot_id: int
) -> _RestoreData:
    """The card of an issue: the first comment that is ours, that no other account changed, and whose seal is good."""
    note, last_called_attempt, forged_count = "it has no card", 0, 0
    pages = [node.comments]
    more_pages = github.list_more_comments(row.full_name, node)
    while pages:
        for comment in filter(None, pages.pop().nodes):
            last_line = comment.body.rstrip().rpartition("\n")[2]
            if not comment.is_by(bot_id):
                if last_line.startswith(CARD_MARKER):
                    is_own = comment.author is not None and comment.author.database_id == bot_id
                    note, forged_count = (
                        ("another account edited its card", forged_count) if is_own else (note, forged_count + 1)
                    )
                continue
            if (
                (key := comment_key(last_line))
                and (match := _START_KEY.fullmatch(key))
                and int(match[1]) == node.number
            ):
                last_called_attempt = max(last_called_attempt, int(match[2]))
            if last_line.startswith(CARD_MARKER):
                try:
                    state = codec.read(comment.body, row.id, node.number)
                except BadCardState as error:
                    note = str(error)
                else:
                    return _RestoreData(node, comment, state, last_called_attempt=last_called_attempt)
        if page := await anext(more_pages, None):
            pages.append(page)
    return _RestoreData(
        node,
        note=f"{note}; ignored {forged_count} forged cards" if forged_count else note,
        last_called_attempt=last_called_attempt,
    )


async def _highest_attempts(github: GitHub, name: str, restore_data: Iterable[_RestoreData]) -> dict[int, int]:
    """The highest attempt of each task that left a trace: a branch, a run, a call. No number is given twice."""
    traces = [parse_branch(f"task/{branch}") for branch in await github.list_branches(name, "task/")]
    traces += [task_in_run_name(run.display_title) for run in await github.list_workflow_runs(name, limit=MAX_RUNS)]
    traces += [(entry.node.number, entry.last_called_attempt) for entry in restore_data]
    highest: dict[int, int] = {}
    for number, attempt in filter(None, traces):
        highest[number] = max(attempt, highest.get(number, 0))
    return highest


def _labels_set_by(history: IssueHistory | None, bot_id: int) -> frozenset[str]:
    """The labels that were last put on by us."""
    last_setters: dict[str, int | None] = {}
    for event in history.timeline_items.nodes if history else ():
        if event and event.kind == "LabeledEvent" and event.label:
            last_setters[event.label.name] = event.actor.database_id if event.actor else None
    return frozenset(label for label, user_id in last_setters.items() if user_id == bot_id)


async def _restore_task(
    github: GitHub,
    row: RepositoryRow,
    policy: RepositoryConfig,
    entry: _RestoreData,
    attempts: Mapping[int, int],
    own_labels: frozenset[str],
    now: datetime,
) -> RestoredTask:
    node = entry.node
    issue = node.to_issue()
    if entry.state is None and issue.state != "open":
        return RestoredTask(node.number, node.title, "", note=f"closed, and {entry.note}")
    facts = issue_reader.issue_facts(issue)
    author_can_write = entry.state is None and await issue_reader.can_write(github, row.full_name, issue.user)
    context = Context(now, policy, row.id, row.full_name, row.default_branch, team=row.team)
    # As if it had just been opened: that is what the issue itself says.
    new_task = decide(None, IssueSeen(replace(facts, open=True), facts.author, author_can_write), context).task
    if new_task is None:
        return RestoredTask(node.number, node.title, "", note="it is no longer a task")
    task, source, note = new_task, "labels", entry.note
    if entry.state is not None:
        try:
            task, source, note = restore_from_card(new_task, entry.state), "card", ""
        except ValidationError as error:
            log.warning("card_unreadable", number=node.number, error=str(error.errors(include_input=False)[:1]))
            note = "the state in its card is from another version"
    task = resume_clock(_fresh_task(task, now), policy, attempts.get(node.number, 0), own_labels, source, now)
    return RestoredTask(node.number, task.title, source, task, note)


def restore_from_card(new_task: Task, state: Mapping[str, object]) -> Task:
    """The task as its card has it; what the issue itself says is of now. Raises ValidationError."""
    defaults = task_to_json(new_task)
    return task_from_json(defaults | {name: value for name, value in state.items() if name in defaults})


def _fresh_task(task: Task, now: datetime) -> Task:
    """What cannot be known of the time in between is asked for again, and agents are given it."""
    for name in ("lease", "review_lease"):
        if lease := getattr(task, name):
            task = replace(task, **{name: replace(lease, resumed_at=now)})
    if task.pull and task.pull.open and not task.pull.merged:
        pull = replace(
            task.pull,
            checks=ChecksState.PENDING,
            checks_requested_at=None,
            head_seen_at=now,
            merge_requested_sha=None,
        )
        task = replace(task, pull=pull)
    return task


def resume_clock(
    task: Task, policy: RepositoryConfig, attempt: int, own_labels: frozenset[str], source: str, now: datetime
) -> Task:
    """What happened after the card was last written: labels are written before it, and agents started before both."""
    attempt = attempt if attempt <= task.attempt + MAX_ATTEMPTS_AHEAD else 0
    holder = next((label[6:] for label in sorted(own_labels) if label.startswith("agent:")), None)
    status = next((status for label in sorted(own_labels) if (status := status_from_label(label))), None)
    has_started = status in (Status.IN_PROGRESS, Status.REVIEW) and holder in policy.agents
    if task.status in (Status.PENDING, Status.READY) and has_started and holder and attempt > task.attempt:
        lease = Lease(holder, attempt, branch_name(task.number, attempt), since=now)
        return replace(task, status=Status.IN_PROGRESS, status_since=now, attempt=attempt, lease=lease, pull=None)
    if source == "labels" and status is Status.FAILED:
        task = replace(task, status=Status.FAILED)
    return replace(task, attempt=max(task.attempt, attempt))


async def _save_restored(
    connection: AsyncConnection,
    policy: RepositoryConfig,
    task: Task,
    source: str,
    comment: CommentNode | None,
    now: datetime,
) -> None:
    """One task with everything that hangs on it, and the line of the audit trail that accounts for it."""
    repository_id = task.repository_id
    holder = task.lease.agent if task.lease else None
    event = Event(EventType.TASK_RESTORED, task.number, now, holder, task.attempt or None, payload={"from": source})
    await store.save_task(connection, task, now)
    await audit_log.append(connection, repository_id, events_with_changes((event,), None, task))
    if not task.untracked:
        deadlines = deadlines_of(task, policy.timeouts)
        await store.replace_deadlines(connection, repository_id, task_target(task.number), deadlines, now)
    await escalations.save(connection, None, task, (), now)
    await attempts.save(connection, repository_id, [*_attempt_records(task), *attempt_records(None, task, now)])
    agents = Counter(entry.agent for entry in task.history if not entry.by_person)
    agents.update(entry.agent for entry in (task.lease, task.review_lease) if entry and entry.holder_id is None)
    for agent, count in agents.items():
        await store.count_assignment(connection, repository_id, agent, count)
    if pulls := [
        {"repository_id": repository_id, "number": a.pull, "task": task.number} for a in task.history if a.pull
    ]:
        await connection.execute(insert(t.pulls).on_conflict_do_nothing(), pulls)
    if comment is not None:
        await _save_card(connection, policy, task, comment, now)


def _attempt_records(task: Task) -> Sequence[AttemptRecord]:
    return [
        AttemptRecord(
            task.number,
            attempt.number,
            attempt.agent,
            attempt.role,
            task.required_capabilities,
            attempt.started_at,
            ended_at=attempt.ended_at,
            outcome=attempt.outcome,
            counts_against_agent=attempt.counts_against_agent,
        )
        for attempt in task.history
        if not attempt.by_person
    ]


async def _save_card(
    connection: AsyncConnection, policy: RepositoryConfig, task: Task, comment: CommentNode, now: datetime
) -> None:
    """The card is known by its id: it is edited, and none is written beside it."""
    effect = UpsertCard(task.number)
    row = {
        "repository_id": task.repository_id,
        "issue_number": task.number,
        "key": effect.key,
        "kind": type(effect).__name__,
        "payload": effect_to_json(effect),
        "created_at": now,
        "remote_id": comment.full_database_id,
    }
    expected_text = card_text(task, policy).rpartition(CARD_MARKER)[0]
    # One that shows something else is written again; that it is the same is known by what it was made from.
    is_current = comment.body.replace("\r\n", "\n").rpartition(CARD_MARKER)[0] == expected_text
    values = {**row, "state": "done" if is_current else "pending", "done_at": now}
    saved = await connection.execute(t.outbox.insert().values(values).returning(t.outbox.c.id))
    if not is_current:
        target = DeadlineTarget(TargetKind.EFFECT, str(saved.scalar_one()))
        payload = EffectGroup(task.number)._asdict()
        await store.set_deadline(connection, task.repository_id, target, SEND, now, payload=payload)
