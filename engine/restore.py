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
from core.assignment.stats import AttemptRecord, lines
from core.audit.chain import events_with_changes
from core.audit.events import Event, EventType
from core.decide import Context, decide
from core.effects.base import UpsertCard
from core.intake.references import branch_name, parse_branch
from core.signals.base import IssueSeen
from core.task.deadlines import DeadlineTarget, TargetKind, deadlines_of, task_target
from core.task.labels import TASK, status_in
from core.task.model import ChecksState, Lease, Status, Task
from core.texts import CARD_MARKER, card_text, comment_key
from engine import issue_reader
from engine.card_state import BadCardState, CardStateCodec
from engine.config_sync import RECONCILE, REPOSITORY, WHOLE
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

_STARTED = re.compile(r"start:(\d{1,9}):(\d{1,6})")  # the key of `StartAgent`, in the comment that called an agent
RUNS = 100  # workflow runs that are looked at, the latest
AHEAD = 100  # attempts that a card may be behind: a branch with a much higher number is not the bot's


class NotEmptyError(Exception):
    """The database knows tasks already: it is never written over."""


@dataclass(frozen=True, slots=True)
class RestoredTask:
    """What became of one issue. `how` is `card`, `labels`, or empty where there is no task; `note` what is missing."""

    number: int
    title: str
    how: str
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
    called: int = 0  # the latest attempt for which an agent was called in a comment


async def rebuild(
    work: UnitOfWorkFactory, github: GitHub, row: RepositoryRow, seal: CardStateCodec, bot_id: int
) -> RestoreReport:
    """Restore the tasks of a repository. Nothing is written to GitHub; the reconciler goes on from there.

    Raises NotEmptyError where the repository has tasks already.
    """
    policy = row.config
    if policy is None:
        return RestoreReport(row.full_name, problem="it has no (valid) configuration")
    newest = await github.get_latest_number(row.full_name)
    memories = [
        await _remember(github, row, node, seal, bot_id)
        async for node in github.list_issues_with_comments(row.full_name, TASK)
    ]
    attempts = await _attempts(github, row.full_name, memories)
    histories = await github.get_histories(row.full_name, [m.node.number for m in memories if m.node.state == "OPEN"])
    now = work.now()
    found = []
    for memory in memories:
        set_by_us = _set_by(histories.get(memory.node.number), bot_id) & memory.node.to_issue().label_names
        found.append(await _restored(github, row, policy, memory, attempts, set_by_us, now))
    async with work.database.transaction() as connection:
        await repositories.load_repository(connection, row.id, lock=True)
        if await store.has_tasks(connection, row.id):
            raise NotEmptyError(f"{row.full_name} already has tasks; only an empty database can be restored")
        by_number = {memory.node.number: memory for memory in memories}
        for one in found:
            if one.task is not None:
                await _keep(connection, policy, one.task, one.how, by_number[one.number].comment, now)
        await repositories.update_repository(connection, row.id, restored_up_to_issue=newest)
        await store.set_deadline(connection, row.id, REPOSITORY, RECONCILE, now, payload=WHOLE)
    log.info("restored", repository=row.full_name, tasks=sum(one.task is not None for one in found))
    return RestoreReport(row.full_name, tuple(found))


async def has_tasks(github: GitHub, name: str, repository_id: int, seal: CardStateCodec, bot_id: int) -> bool:
    """Whether an open task of a repository has a card that we sealed."""
    async for node in github.list_issues_with_comments(name, TASK, states=("OPEN",)):
        for remark in filter(None, node.comments.nodes):
            if remark.is_by(bot_id):
                with contextlib.suppress(BadCardState):
                    seal.read(remark.body, repository_id, node.number)
                    return True
    return False


async def _remember(
    github: GitHub, row: RepositoryRow, node: IssueNode, seal: CardStateCodec, bot_id: int
) -> _RestoreData:
    """The card of an issue: the first comment that is ours, that no other account changed, and whose seal is good."""
    note, called, forged = "it has no card", 0, 0
    pages = [node.comments]
    later = github.list_more_comments(row.full_name, node)
    while pages:
        for remark in filter(None, pages.pop().nodes):
            last = remark.body.rstrip().rpartition("\n")[2]
            if not remark.is_by(bot_id):
                if last.startswith(CARD_MARKER):
                    ours = remark.author is not None and remark.author.database_id == bot_id
                    note, forged = ("another account edited its card", forged) if ours else (note, forged + 1)
                continue
            if (key := comment_key(last)) and (start := _STARTED.fullmatch(key)) and int(start[1]) == node.number:
                called = max(called, int(start[2]))
            if last.startswith(CARD_MARKER):
                try:
                    state = seal.read(remark.body, row.id, node.number)
                except BadCardState as error:
                    note = str(error)
                else:
                    return _RestoreData(node, remark, state, called=called)
        if more := await anext(later, None):
            pages.append(more)
    return _RestoreData(node, note=f"{note}; ignored {forged} forged cards" if forged else note, called=called)


async def _attempts(github: GitHub, name: str, memories: Iterable[_RestoreData]) -> dict[int, int]:
    """The highest attempt of each task that left a trace: a branch, a run, a call. No number is given twice."""
    traces = [parse_branch(f"task/{branch}") for branch in await github.list_branches(name, "task/")]
    traces += [task_in_run_name(run.display_title) for run in await github.list_workflow_runs(name, limit=RUNS)]
    traces += [(memory.node.number, memory.called) for memory in memories]
    highest: dict[int, int] = {}
    for number, attempt in filter(None, traces):
        highest[number] = max(attempt, highest.get(number, 0))
    return highest


def _set_by(history: IssueHistory | None, bot_id: int) -> frozenset[str]:
    """The labels that were last put on by us."""
    last: dict[str, int | None] = {}
    for event in history.timeline_items.nodes if history else ():
        if event and event.kind == "LabeledEvent" and event.label:
            last[event.label.name] = event.actor.database_id if event.actor else None
    return frozenset(label for label, who in last.items() if who == bot_id)


async def _restored(
    github: GitHub,
    row: RepositoryRow,
    policy: RepositoryConfig,
    memory: _RestoreData,
    attempts: Mapping[int, int],
    set_by_us: frozenset[str],
    now: datetime,
) -> RestoredTask:
    node = memory.node
    issue = node.to_issue()
    if memory.state is None and issue.state != "open":
        return RestoredTask(node.number, node.title, "", note=f"closed, and {memory.note}")
    facts = issue_reader.issue_facts(issue)
    writer = memory.state is None and await issue_reader.can_write(github, row.full_name, issue.user)
    context = Context(now, policy, row.id, row.full_name, row.default_branch, team=row.team)
    # As if it had just been opened: that is what the issue itself says.
    opened = decide(None, IssueSeen(replace(facts, open=True), facts.author, writer), context).task
    if opened is None:
        return RestoredTask(node.number, node.title, "", note="it is no longer a task")
    task, how, note = opened, "labels", memory.note
    if memory.state is not None:
        try:
            task, how, note = restore_from_card(opened, memory.state), "card", ""
        except ValidationError as error:
            log.warning("card_unreadable", number=node.number, error=str(error.errors(include_input=False)[:1]))
            note = "the state in its card is from another version"
    task = resume_clock(_fresh_task(task, now), policy, attempts.get(node.number, 0), set_by_us, how, now)
    return RestoredTask(node.number, task.title, how, task, note)


def restore_from_card(opened: Task, state: Mapping[str, object]) -> Task:
    """The task as its card has it; what the issue itself says is of now. Raises ValidationError."""
    known = task_to_json(opened)
    return task_from_json(known | {name: value for name, value in state.items() if name in known})


def _fresh_task(task: Task, now: datetime) -> Task:
    """What cannot be known of the time in between is asked for again, and agents are given it."""
    for name in ("lease", "review"):
        if lease := getattr(task, name):
            task = replace(task, **{name: replace(lease, resumed_at=now)})
    if task.pull and task.pull.open and not task.pull.merged:
        fresh = replace(
            task.pull,
            checks=ChecksState.PENDING,
            checks_asked_at=None,
            head_seen_at=now,
            merge_requested_sha=None,
        )
        task = replace(task, pull=fresh)
    return task


def resume_clock(
    task: Task, policy: RepositoryConfig, attempt: int, set_by_us: frozenset[str], how: str, now: datetime
) -> Task:
    """What happened after the card was last written: labels are written before it, and agents started before both."""
    attempt = attempt if attempt <= task.attempt + AHEAD else 0
    holder = next((label[6:] for label in sorted(set_by_us) if label.startswith("agent:")), None)
    status = next((status for label in sorted(set_by_us) if (status := status_in(label))), None)
    begun = status in (Status.IN_PROGRESS, Status.REVIEW) and holder in policy.agents
    if task.status in (Status.PENDING, Status.READY) and begun and holder and attempt > task.attempt:
        lease = Lease(holder, attempt, branch_name(task.number, attempt), since=now)
        return replace(task, status=Status.IN_PROGRESS, status_since=now, attempt=attempt, lease=lease, pull=None)
    if how == "labels" and status is Status.FAILED:
        task = replace(task, status=Status.FAILED)
    return replace(task, attempt=max(task.attempt, attempt))


async def _keep(
    connection: AsyncConnection,
    policy: RepositoryConfig,
    task: Task,
    how: str,
    comment: CommentNode | None,
    now: datetime,
) -> None:
    """One task with everything that hangs on it, and the line of the audit trail that accounts for it."""
    home = task.repository_id
    holder = task.lease.agent if task.lease else None
    line = Event(EventType.TASK_RESTORED, task.number, now, holder, task.attempt or None, payload={"from": how})
    await store.save_task(connection, task, now)
    await audit_log.append(connection, home, events_with_changes((line,), None, task))
    if not task.withdrawn:
        deadlines = deadlines_of(task, policy.timeouts)
        await store.replace_deadlines(connection, home, task_target(task.number), deadlines, now)
    await escalations.save(connection, None, task, (), now)
    await attempts.save(connection, home, [*_past(task), *lines(None, task, now)])
    agents = Counter(one.agent for one in task.history if not one.by_person)
    agents.update(one.agent for one in (task.lease, task.review) if one and one.holder_id is None)
    for agent, count in agents.items():
        await store.count_assignment(connection, home, agent, count)
    if pulls := [{"repository_id": home, "number": a.pull, "task": task.number} for a in task.history if a.pull]:
        await connection.execute(insert(t.pulls).on_conflict_do_nothing(), pulls)
    if comment is not None:
        await _keep_card(connection, policy, task, comment, now)


def _past(task: Task) -> Sequence[AttemptRecord]:
    return [
        AttemptRecord(
            task.number,
            one.number,
            one.agent,
            one.role,
            task.required,
            one.started_at,
            ended_at=one.ended_at,
            outcome=one.outcome,
            counts_against_agent=one.blamed,
        )
        for one in task.history
        if not one.by_person
    ]


async def _keep_card(
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
    shown = card_text(task, policy).rpartition(CARD_MARKER)[0]
    # One that shows something else is written again; that it is the same is known by what it was made from.
    same = comment.body.replace("\r\n", "\n").rpartition(CARD_MARKER)[0] == shown
    values = {**row, "state": "done" if same else "pending", "done_at": now}
    saved = await connection.execute(t.outbox.insert().values(values).returning(t.outbox.c.id))
    if not same:
        target = DeadlineTarget(TargetKind.EFFECT, str(saved.scalar_one()))
        payload = EffectGroup(task.number)._asdict()
        await store.set_deadline(connection, task.repository_id, target, SEND, now, payload=payload)
