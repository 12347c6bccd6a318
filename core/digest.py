"""Collects a repository's progress digest as values; `core.texts.digest` writes the text."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from config.repository import RepositoryConfig
from core.assignment.rules import Agent
from core.commands.checkboxes import CheckboxCommand
from core.conflicts.merge_order import MergeOrder
from core.conflicts.pulls import OpenPull, PullPair
from core.conflicts.summary import format_files
from core.dead_letter import DeadLetter
from core.task.deadlines import Deadline, deadlines_of
from core.task.model import Flag, Status, Task
from core.text_safety.sanitize import one_line
from core.texts.matrix import merge_orders

MAX_NODES = 50  # nodes in the graph; more are unreadable
MAX_EDGES = 150  # GitHub draws up to 500
_MAX_TITLE_LENGTH = 60  # characters


class TaskGroup(StrEnum):
    """The group that counts a task; each task is in exactly one."""

    FAILED = "failed"
    BLOCKED = "blocked"  # held, in conflict, or waiting for something unfinished
    ACTIVE = "active"  # an agent or person works on it, or its pull request is open
    WAITING = "waiting"  # not ready yet, or waiting for an agent


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task in the digest. `why` is the first reason on its card, if there is one."""

    number: int
    title: str
    group: TaskGroup
    status: Status
    priority: str
    holder: str
    pull_number: int | None
    since: datetime  # in this status
    last_activity_at: datetime | None  # the last sign of life of its holder, or the last commit
    deadline: Deadline | None  # the next one
    reason: str
    needs_human: bool
    acknowledged_by: str = ""  # who answered its escalation


@dataclass(frozen=True, slots=True)
class Node:
    """A task in the graph, or an issue elsewhere that a task waits for (`group` is None)."""

    reference: str
    title: str
    group: TaskGroup | None


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """Two open pull requests that conflict, and the files."""

    low_number: int
    high_number: int
    files: str


@dataclass(frozen=True, slots=True)
class AgentLoad:
    """An agent, its load and its state."""

    name: str
    active_tasks: int
    max_tasks: int
    state: str
    reason: str = ""  # why it takes no work


@dataclass(frozen=True, slots=True)
class RateLimitSummary:
    """What is left of GitHub's request limit, until when, and how much was written in the last hour."""

    remaining: int
    reset_at: datetime | None  # None: no request in this hour is known
    writes: int = 0  # issues, comments and reactions created or changed


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything that the digest shows."""

    repository: str
    created_at: datetime
    task_rows: tuple[TaskRow, ...]  # those that need a person first
    checkboxes: tuple[CheckboxCommand, ...]
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]  # (dependency, dependent)
    omitted_count: int  # tasks that did not fit into the graph
    conflicts: tuple[ConflictRow, ...]
    merge_orders: tuple[tuple[str, MergeOrder], ...]  # by base
    agents: tuple[AgentLoad, ...]
    rate_limit: RateLimitSummary | None
    dead_letters: tuple[DeadLetter, ...] = ()  # oldest first
    dry_run: bool = False

    @property
    def counts(self) -> Mapping[TaskGroup, int]:
        """How many tasks each group has."""
        counts = Counter(row.group for row in self.task_rows)
        return {group: counts[group] for group in TaskGroup}

    @property
    def needing_human(self) -> tuple[TaskRow, ...]:
        """The tasks that need a person."""
        return tuple(row for row in self.task_rows if row.needs_human)

    @property
    def fingerprint(self) -> str:
        """Stays the same until something happens that a reader should know.

        Ages, signs of life, deadlines and GitHub's budget change all the time and are left out.
        """
        volatile = ("since", "last_activity_at", "deadline")
        rows = [
            [getattr(item, name.name) for name in fields(item) if name.name not in volatile] for item in self.task_rows
        ]
        agents = [(item.name, item.active_tasks, item.max_tasks, item.state, not item.reason) for item in self.agents]
        orders = [(base, order.sequence, order.conflicting) for base, order in self.merge_orders]
        dead_letters = [(item.id, item.error) for item in self.dead_letters]
        parts = (rows, dead_letters, self.checkboxes, self.edges, self.conflicts, orders, agents, self.dry_run)
        # All parts are plain values: their `repr` is the same in every process.
        return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()


def build_digest(
    repository: str,
    tasks: Iterable[Task],
    open_pulls: Mapping[int, OpenPull],
    pairs: Collection[PullPair],
    agents: Sequence[Agent],
    policy: RepositoryConfig,
    now: datetime,
    rate_limit: RateLimitSummary | None = None,
    dead_letters: Iterable[DeadLetter] = (),
) -> Digest:
    """Create the digest of a repository at `now` (aware). It shows those of `tasks` that are not over."""
    listed = sorted((task for task in tasks if _is_listed(task)), key=_sort_key)
    nodes, edges, omitted_count = _build_graph(listed)
    conflicting_pairs = [pair for pair in pairs if not pair.is_clean and set(pair.numbers) <= open_pulls.keys()]
    return Digest(
        repository=repository,
        created_at=now,
        task_rows=tuple(_task_row(task, policy) for task in listed),
        checkboxes=tuple(checkbox for task in listed for checkbox in _checkboxes(task)),
        nodes=nodes,
        edges=edges,
        omitted_count=omitted_count,
        conflicts=tuple(
            ConflictRow(pair.low_number, pair.high_number, format_files(pair.files)) for pair in conflicting_pairs
        ),
        merge_orders=tuple(merge_orders(list(open_pulls.values()), conflicting_pairs)),
        agents=tuple(_agent_load(agent) for agent in agents),
        rate_limit=rate_limit,
        dead_letters=tuple(dead_letters),
        dry_run=policy.dry_run,
    )


def _is_listed(task: Task) -> bool:
    """Whether a person may still have to look at it: a failed task until its issue is closed."""
    return not task.untracked and (task.is_open or (task.status is Status.FAILED and task.issue_open))


def group_of(task: Task) -> TaskGroup:
    """The group of a task that is not over."""
    if task.status is Status.FAILED:
        return TaskGroup.FAILED
    if task.hold or task.open_dependencies or {Flag.BLOCKED, Flag.CONFLICT} & task.flags.keys():
        return TaskGroup.BLOCKED
    return TaskGroup.ACTIVE if task.status in (Status.IN_PROGRESS, Status.REVIEW) else TaskGroup.WAITING


def needs_human(task: Task) -> bool:
    """Whether it continues only if a person acts."""
    return task.status is Status.FAILED or Flag.NEEDS_HUMAN in task.flags


def _sort_key(task: Task) -> tuple[object, ...]:
    return (not needs_human(task), list(TaskGroup).index(group_of(task)), task.priority.rank, task.number)


def _task_row(task: Task, policy: RepositoryConfig) -> TaskRow:
    lease, pull = task.lease or task.review_lease, task.pull
    activity_times = [lease.last_activity_at or lease.acknowledged_at] if lease else []
    activity_times += [pull.head_seen_at] if pull and pull.open else []
    return TaskRow(
        number=task.number,
        title=one_line(task.title, _MAX_TITLE_LENGTH),
        group=group_of(task),
        status=task.status,
        priority=task.priority.value,
        holder=lease.agent if lease else "",
        pull_number=pull.number if pull and pull.open else None,
        since=task.status_since,
        last_activity_at=max((time for time in activity_times if time), default=None),
        deadline=min(
            deadlines_of(task, policy.timeouts), key=lambda deadline: (deadline.due_at, deadline.kind), default=None
        ),
        reason=_reason(task),
        needs_human=needs_human(task),
        acknowledged_by=_acknowledged_by(task),
    )


def _reason(task: Task) -> str:
    """Why it is in its state, in a sentence; in a dry run, which agent would get it."""
    flag_reason = next((task.flags[flag] for flag in Flag if flag in task.flags), "")
    if flag_reason or task.hold:
        return flag_reason or (task.hold.description if task.hold else "")
    if task.status is Status.PENDING:
        return next(iter(task.readiness_problems), "")
    return task.choice.reason if task.choice and task.is_assignable else ""


def _acknowledged_by(task: Task) -> str:
    return task.escalation.acknowledged_by if task.escalation and needs_human(task) else ""


def _checkboxes(task: Task) -> Iterable[CheckboxCommand]:
    """What a person can do about it by ticking a checkbox."""
    if Flag.NEEDS_HUMAN in task.flags and not _acknowledged_by(task):
        yield CheckboxCommand("ack", task.number, f"acknowledge #{task.number}: you take it")
    if task.status is Status.FAILED:
        yield CheckboxCommand("retry", task.number, f"retry #{task.number}: start over")
        return
    if task.pull and task.pull.open and task.pull.blocking_pulls:
        yield CheckboxCommand("ignore", task.number, f"ignore the conflict of #{task.number} for a day")
    if task.hold and not task.hold.is_forecast:
        command = "resume" if task.hold.is_paused else "unblock"
        yield CheckboxCommand(
            command, task.number, f"{command} #{task.number} (on hold by {one_line(task.hold.held_by, 40)})"
        )


def _agent_load(agent: Agent) -> AgentLoad:
    return AgentLoad(
        agent.name, agent.active_tasks, agent.max_tasks, agent.availability.state.value, agent.unavailable_reason or ""
    )


def _build_graph(tasks: Sequence[Task]) -> tuple[tuple[Node, ...], tuple[tuple[str, str], ...], int]:
    """The unfinished dependencies of open tasks, as many as are readable, and the number of tasks left out.

    The most urgent come first; of a dependency both ends are shown or none.
    """
    tasks_by_reference = {f"#{task.number}": task for task in tasks}
    all_edges = [(dependency, f"#{task.number}") for task in tasks for dependency in task.open_dependencies]
    all_names = {name for edge in all_edges for name in edge}
    drawn_names: dict[str, None] = {}
    edges: list[tuple[str, str]] = []
    for edge in all_edges:
        new = [name for name in edge if name not in drawn_names]
        if len(edges) < MAX_EDGES and len(drawn_names) + len(new) <= MAX_NODES:
            drawn_names |= dict.fromkeys(new)
            edges.append(edge)
    nodes = tuple(
        Node(
            name,
            tasks_by_reference[name].title if name in tasks_by_reference else "",
            group_of(tasks_by_reference[name]) if name in tasks_by_reference else None,
        )
        for name in drawn_names
    )
    return nodes, tuple(edges), len(all_names - drawn_names.keys())
