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
from core.conflicts.summary import named
from core.dead_letter import DeadLetter
from core.task.deadlines import Deadline, deadlines_of
from core.task.model import Flag, Status, Task
from core.text_safety.sanitize import one_line
from core.texts.matrix import merge_orders

MOST_NODES = 50  # nodes in the graph; more are unreadable
MOST_EDGES = 150  # GitHub draws up to 500
_TITLE = 60  # characters


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
    pull: int | None
    since: datetime  # in this status
    heard_at: datetime | None  # the last sign of life of its holder, or the last commit
    deadline: Deadline | None  # the next one
    why: str
    needs_person: bool
    looked_after: str = ""  # who answered its escalation


@dataclass(frozen=True, slots=True)
class Node:
    """A task in the graph, or an issue elsewhere that a task waits for (`group` is None)."""

    reference: str
    title: str
    group: TaskGroup | None


@dataclass(frozen=True, slots=True)
class ConflictRow:
    """Two open pull requests that conflict, and the files."""

    one: int
    other: int
    files: str


@dataclass(frozen=True, slots=True)
class AgentLoad:
    """An agent, its load and its state."""

    name: str
    holding: int
    max_tasks: int
    state: str
    why: str = ""  # why it takes no work


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of GitHub's request limit, until when, and how much was written in the last hour."""

    remaining: int
    reset_at: datetime | None  # None: no request in this hour is known
    written: int = 0  # issues, comments and reactions created or changed


@dataclass(frozen=True, slots=True)
class Digest:
    """Everything that the digest shows."""

    repository: str
    at: datetime
    lines: tuple[TaskRow, ...]  # those that need a person first
    boxes: tuple[CheckboxCommand, ...]
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]  # (dependency, dependent)
    left_out: int  # tasks that did not fit into the graph
    clashes: tuple[ConflictRow, ...]
    orders: tuple[tuple[str, MergeOrder], ...]  # by base
    agents: tuple[AgentLoad, ...]
    budget: Budget | None
    given_up: tuple[DeadLetter, ...] = ()  # oldest first
    dry_run: bool = False

    @property
    def counts(self) -> Mapping[TaskGroup, int]:
        """How many tasks each group has."""
        found = Counter(line.group for line in self.lines)
        return {group: found[group] for group in TaskGroup}

    @property
    def calling(self) -> tuple[TaskRow, ...]:
        """The tasks that need a person."""
        return tuple(line for line in self.lines if line.needs_person)

    @property
    def fingerprint(self) -> str:
        """Stays the same until something happens that a reader should know.

        Ages, signs of life, deadlines and GitHub's budget change all the time and are left out.
        """
        moving = ("since", "heard_at", "deadline")
        lines = [[getattr(one, name.name) for name in fields(one) if name.name not in moving] for one in self.lines]
        agents = [(one.name, one.holding, one.max_tasks, one.state, not one.why) for one in self.agents]
        said = [(base, order.sequence, order.mend) for base, order in self.orders]
        lost = [(one.which, one.error) for one in self.given_up]
        parts = (lines, lost, self.boxes, self.edges, self.clashes, said, agents, self.dry_run)
        # All parts are plain values: their `repr` is the same in every process.
        return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()


def digest(
    repository: str,
    tasks: Iterable[Task],
    flights: Mapping[int, OpenPull],
    pairs: Collection[PullPair],
    agents: Sequence[Agent],
    policy: RepositoryConfig,
    now: datetime,
    budget: Budget | None = None,
    given_up: Iterable[DeadLetter] = (),
) -> Digest:
    """Create the digest of a repository at `now` (aware). It shows those of `tasks` that are not over."""
    shown = sorted((task for task in tasks if _concerns(task)), key=_place)
    nodes, edges, left_out = _graph(shown)
    there = [pair for pair in pairs if not pair.clean and set(pair.numbers) <= flights.keys()]
    return Digest(
        repository=repository,
        at=now,
        lines=tuple(_line(task, policy) for task in shown),
        boxes=tuple(box for task in shown for box in _boxes(task)),
        nodes=nodes,
        edges=edges,
        left_out=left_out,
        clashes=tuple(ConflictRow(pair.low_number, pair.high_number, named(pair.files)) for pair in there),
        orders=tuple(merge_orders(list(flights.values()), there)),
        agents=tuple(_load(agent) for agent in agents),
        budget=budget,
        given_up=tuple(given_up),
        dry_run=policy.dry_run,
    )


def _concerns(task: Task) -> bool:
    """Whether a person may still have to look at it: a failed task until its issue is closed."""
    return not task.withdrawn and (task.is_open or (task.status is Status.FAILED and task.issue_open))


def group_of(task: Task) -> TaskGroup:
    """The group of a task that is not over."""
    if task.status is Status.FAILED:
        return TaskGroup.FAILED
    if task.held or task.waits_for or {Flag.BLOCKED, Flag.CONFLICT} & task.flags.keys():
        return TaskGroup.BLOCKED
    return TaskGroup.ACTIVE if task.status in (Status.IN_PROGRESS, Status.REVIEW) else TaskGroup.WAITING


def needs_person(task: Task) -> bool:
    """Whether it continues only if a person acts."""
    return task.status is Status.FAILED or Flag.NEEDS_HUMAN in task.flags


def _place(task: Task) -> tuple[object, ...]:
    return (not needs_person(task), list(TaskGroup).index(group_of(task)), task.priority.rank, task.number)


def _line(task: Task, policy: RepositoryConfig) -> TaskRow:
    lease, pull = task.lease or task.review, task.pull
    heard = [lease.last_sign_at or lease.acknowledged_at] if lease else []
    heard += [pull.head_seen_at] if pull and pull.open else []
    return TaskRow(
        number=task.number,
        title=one_line(task.title, _TITLE),
        group=group_of(task),
        status=task.status,
        priority=task.priority.value,
        holder=lease.agent if lease else "",
        pull=pull.number if pull and pull.open else None,
        since=task.status_since,
        heard_at=max((at for at in heard if at), default=None),
        deadline=min(deadlines_of(task, policy.timeouts), key=lambda one: (one.due_at, one.kind), default=None),
        why=_why(task),
        needs_person=needs_person(task),
        looked_after=_looked_after(task),
    )


def _why(task: Task) -> str:
    """Why it is in its state, in a sentence; in a dry run, which agent would get it."""
    flagged = next((task.flags[flag] for flag in Flag if flag in task.flags), "")
    if flagged or task.held:
        return flagged or (task.held.said if task.held else "")
    if task.status is Status.PENDING:
        return next(iter(task.missing), "")
    return task.choice.reason if task.choice and task.in_line else ""


def _looked_after(task: Task) -> str:
    return task.escalation.acknowledged_by if task.escalation and needs_person(task) else ""


def _boxes(task: Task) -> Iterable[CheckboxCommand]:
    """What a person can do about it by ticking a checkbox."""
    if Flag.NEEDS_HUMAN in task.flags and not _looked_after(task):
        yield CheckboxCommand("ack", task.number, f"acknowledge #{task.number}: you take it")
    if task.status is Status.FAILED:
        yield CheckboxCommand("retry", task.number, f"retry #{task.number}: start over")
        return
    if task.pull and task.pull.open and task.pull.waits_behind:
        yield CheckboxCommand("ignore", task.number, f"ignore the conflict of #{task.number} for a day")
    if task.held and not task.held.foreseen:
        verb = "resume" if task.held.paused else "unblock"
        yield CheckboxCommand(verb, task.number, f"{verb} #{task.number} (on hold by {one_line(task.held.by, 40)})")


def _load(agent: Agent) -> AgentLoad:
    return AgentLoad(agent.name, agent.holding, agent.max_tasks, agent.condition.state.value, agent.unavailable or "")


def _graph(tasks: Sequence[Task]) -> tuple[tuple[Node, ...], tuple[tuple[str, str], ...], int]:
    """The unfinished dependencies of open tasks, as many as are readable, and the number of tasks left out.

    The most urgent come first; of a dependency both ends are shown or none.
    """
    there = {f"#{task.number}": task for task in tasks}
    wanted = [(needed, f"#{task.number}") for task in tasks for needed in task.waits_for]
    concerned = {name for edge in wanted for name in edge}
    kept: dict[str, None] = {}
    edges: list[tuple[str, str]] = []
    for edge in wanted:
        new = [name for name in edge if name not in kept]
        if len(edges) < MOST_EDGES and len(kept) + len(new) <= MOST_NODES:
            kept |= dict.fromkeys(new)
            edges.append(edge)
    nodes = tuple(
        Node(name, there[name].title if name in there else "", group_of(there[name]) if name in there else None)
        for name in kept
    )
    return nodes, tuple(edges), len(concerned - kept.keys())
