"""Building blocks for tests of the rules: people, issues, pull requests, and a story that one task goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import aiohttp

from adapters.agents import Services
from adapters.agents.actions import news_of
from adapters.database.codec import effect_from_json, effect_to_json, task_from_json, task_to_json
from adapters.github.models import WorkflowRun
from config.repository import RepositoryConfig
from config.task_templates import Templates, built_in
from config.team import Change, Team
from core.assignment.rules import Agent
from core.audit.events import Event, EventType
from core.conflicts.pulls import ConflictingPull, FileConflict, Precedence
from core.decide import CommandContext, Context, Decision, decide
from core.effects.base import Comment, Effect, Escalate, StartAgent
from core.handoff.feedback import FailedCheck
from core.handoff.packet import DependencyResult
from core.intake.readiness import ReadinessInputs
from core.signals.base import (
    AgentPollEmpty,
    AgentStarted,
    AgentStartFailed,
    Assigned,
    BaseMoved,
    BlockerCleared,
    ChecksSeen,
    CommandReceived,
    DeadlineDue,
    DependencyChanged,
    IssueFacts,
    IssueSeen,
    MergeRefused,
    PullFacts,
    PullSeen,
    ReviewSeen,
    Signal,
    TrialMergeDone,
    read_issue,
)
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.dependencies import Dependency, Source
from core.task.labels import labels_of
from core.task.model import Actor, AssignmentDecision, ChecksState, Flag, Lease, Pull, Role, Status, Task

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NO_SERVICES = Services(cast(aiohttp.ClientSession, None), {})  # for adapters that talk to GitHub alone
REPOSITORY = "acme/shop"

ALICE = Actor(1, "alice")  # maintains the repository
BOB = Actor(2, "bob")  # may write
MALLORY = Actor(3, "mallory")  # has no write access
ROBOT = Actor(4, "codex[bot]", is_bot=True)
CRITIC = Actor(5, "critic[bot]", is_bot=True)  # another bot, which reviews

SHA = "a" * 40
SHA2 = "b" * 40
BASE = "c" * 40
MERGE = "d" * 40


def policy(**changes: Any) -> RepositoryConfig:
    """A repository's configuration with two agents, `codex` (python, tests) and `claude` (python, docs)."""
    actions = {"adapter": "actions", "workflow": "agent.yml"}
    agents = {
        "codex": {**actions, "capabilities": ("python", "tests")},
        "claude": {**actions, "capabilities": ("python", "docs")},
    }
    return RepositoryConfig.model_validate({"version": 1, "agents": agents, **changes})


def body(
    goal: str = "Sell apples.",
    criteria: tuple[str, ...] = ("apples are sold",),
    *,
    ticked: bool = False,
    **headings: str,
) -> str:
    """The text of an issue; further headings by keyword (`depends_on="#3"`)."""
    box = "x" if ticked else " "
    parts = [f"### Goal\n\n{goal}"]
    if criteria:
        parts.append("### Acceptance criteria\n\n" + "\n".join(f"- [{box}] {c}" for c in criteria))
    parts += [f"### {name.replace('_', ' ').capitalize()}\n\n{text}" for name, text in headings.items()]
    return "\n\n".join(parts)


def issue(
    number: int = 1,
    *,
    title: str = "Sell apples",
    text: str | None = None,
    labels: tuple[str, ...] = ("task",),
    closed: bool = False,
    not_planned: bool = False,
    author: Actor = ALICE,
    at: datetime = NOW,
    created: datetime = NOW,
) -> IssueFacts:
    """An issue as GitHub tells it."""
    return read_issue(
        id=1000 + number,
        number=number,
        title=title,
        body=body() if text is None else text,
        open=not closed,
        not_planned=not_planned,
        author=author,
        labels=frozenset(labels),
        url=f"https://github.com/{REPOSITORY}/issues/{number}",
        created_at=created,
        updated_at=at,
    )


def pull(
    number: int = 7,
    *,
    branch: str = "task/1-1",
    base: str = "main",
    sha: str = SHA,
    author: Actor = ROBOT,
    closed: bool = False,
    draft: bool = False,
    merged: bool = False,
    fork: bool = False,
    at: datetime = NOW,
    opened_at: datetime = NOW,
) -> PullFacts:
    """A pull request as GitHub tells it."""
    return PullFacts(
        number=number,
        title="Sell apples",
        branch=branch,
        base=base,
        head_sha=sha,
        url=f"https://github.com/{REPOSITORY}/pull/{number}",
        author=author,
        open=not (closed or merged),
        opened_at=opened_at,
        draft=draft,
        merged=merged,
        merge_sha=MERGE if merged else None,
        from_fork=fork,
        updated_at=at,
    )


def agent(name: str = "codex", *capabilities: str, **changes: Any) -> Agent:
    """An agent as the assignment sees it; with room for one task unless said otherwise."""
    values: dict[str, Any] = {"prefers": frozenset(), "max_tasks": 1, "roles": frozenset({"implement"}), **changes}
    return Agent(name, frozenset(capabilities), **values)


def red(name: str = "tests", **changes: Any) -> FailedCheck:
    """A failed check."""
    return FailedCheck(name, f"https://github.com/{REPOSITORY}/runs/1", **changes)


def rival(
    pull: int, *, first: bool = False, waits: Precedence = Precedence.OTHER, task: int | None = 3, **changes: Any
) -> ConflictingPull:
    """Another open pull request that conflicts; it was opened an hour before (`first`) or after ours."""
    opened = NOW - timedelta(hours=1) if first else NOW + timedelta(hours=1)
    values: dict[str, Any] = {
        "sha": SHA2,
        "why": "It was opened later.",
        "files": (FileConflict("shop/a.py"),),
        **changes,
    }
    return ConflictingPull(
        pull, task, branch=f"task/{task}-1", who="codex", opened_at=opened, first=first, waits=waits, **values
    )


class Story:
    """One task, and what it hears. Each step takes a minute; each decision is checked for what always holds."""

    def __init__(self, **changes: Any) -> None:
        """`changes` go into the repository's configuration."""
        self.policy = policy(**changes)
        self.now = NOW
        self.known: Task | None = None
        self.last = Decision(None)
        self.dependencies: dict[str, bool | None] = {}
        self.sources: dict[str, Source] = {}
        self.named: dict[str, Task] = {}
        self.twins: tuple[int, ...] = ()
        self.builds_on: tuple[DependencyResult, ...] = ()
        self.graph: dict[str, tuple[str, ...]] = {}
        self.agents: tuple[Agent, ...] = ()
        self.changes: dict[str, Change] = {}  # what people changed of agents while the bot runs
        self.in_hand: dict[str, int] = {}
        self.trail: tuple[Event, ...] = ()
        self.queue: tuple[tuple[Task, int], ...] = ()
        self.templates = Templates(built_in())
        self.issue = issue()
        self.keys = 0

    @property
    def task(self) -> Task:
        """The task as it is now."""
        assert self.known is not None
        return self.known

    @property
    def pull(self) -> Pull:
        """Its pull request."""
        assert self.task.pull is not None
        return self.task.pull

    @property
    def lease(self) -> Lease:
        """Its lease."""
        assert self.task.lease is not None
        return self.task.lease

    @property
    def context(self) -> Context:
        """What the next decision may know."""
        around = ReadinessInputs(
            capabilities=frozenset(c for a in self.policy.agents.values() for c in a.capabilities),
            graph=self.graph,
            dependencies=self.dependencies,
            twins=self.twins,
            sources=self.sources,
        )
        return Context(
            self.now,
            self.policy,
            42,
            REPOSITORY,
            readiness_inputs=around,
            dependency_results=self.builds_on,
            agents=self.agents,
            team=Team(self.policy.agents, changes=self.changes),
            command=CommandContext(
                active_tasks=self.in_hand,
                referenced_tasks=self.named,
                recent_events=self.trail,
                queue=self.queue,
                templates=self.templates,
            ),
        )

    def wait(self, **duration: float) -> Story:
        """Time goes by."""
        self.now += timedelta(**duration)
        return self

    def hears(self, signal: Signal) -> Decision:
        """The rules decide on a signal."""
        self.wait(minutes=1)
        context = replace(self.context, readiness_inputs=ReadinessInputs()) if _is_blind(signal) else self.context
        decision = decide(self.known, signal, context)
        assert decide(self.known, signal, context) == decision
        if decision.task is not None:
            holds_always(decision.task, self.policy)
        for effect in decision.effects:
            assert effect.key
            assert effect_from_json(type(effect).__name__, effect_to_json(effect)) == effect
        self.known, self.last = decision.task, decision
        self.changes |= decision.team_changes
        return decision

    # What people do to the issue

    def issue_seen(self, sender: Actor | None = ALICE, **changes: Any) -> Decision:
        """The issue as it was, with these changes (fields of `issue`), as `sender` left it."""
        signal = {k: changes.pop(k) for k in ("label", "label_added", "sender_is_us") if k in changes}
        if changes or "at" not in changes:
            values: dict[str, Any] = {
                "title": self.issue.title,
                "text": self.issue.body,
                "labels": tuple(self.issue.labels),
                "closed": not self.issue.open,
                "not_planned": self.issue.not_planned,
                "author": self.issue.author,
                "at": self.now,
                **changes,
            }
            self.issue = issue(self.issue.number, **values)
        return self.hears(
            IssueSeen(
                self.issue,
                sender=sender,
                sender_can_write=sender in (ALICE, BOB),
                dependencies={ref: Dependency(finished) for ref, finished in self.dependencies.items()},
                **signal,
            )
        )

    def labelled(self, label: str, sender: Actor = ALICE) -> Decision:
        """Somebody puts a label on."""
        labels = (*self.issue.labels, label)
        return self.issue_seen(sender, labels=labels, label=label, label_added=True)

    def unlabelled(self, label: str, sender: Actor = ALICE) -> Decision:
        """Somebody takes a label off."""
        labels = tuple(there for there in self.issue.labels if there != label)
        return self.issue_seen(sender, labels=labels, label=label, label_added=False)

    def ready(self, **changes: Any) -> Story:
        """A maintainer files a task that is ready."""
        self.issue_seen(**changes)
        assert self.task.status is Status.READY, self.task.missing
        return self

    # What happens to its attempts

    def assigned(self, name: str | None = "codex", reason: str = "it is free", **choice: Any) -> Story:
        """The assignment pass chose this agent; `role` and `hopeless` are fields of its choice."""
        self.hears(Assigned(AssignmentDecision(name, reason, (), self.now, **choice)))
        return self

    def begun(self, run_id: int = 100) -> Story:
        """The agent's run is at work."""
        return self.run("in_progress", run_id=run_id)

    def run(self, status: str, conclusion: str | None = None, run_id: int = 100, attempt: int | None = None) -> Story:
        """News of the agent's run."""
        attempt = attempt or self.task.attempt
        url = f"https://github.com/runs/{run_id}"
        told = SimpleNamespace(id=run_id, status=status, conclusion=conclusion, html_url=url, updated_at=self.now)
        self.hears(news_of(cast(WorkflowRun, told), attempt))
        return self

    def pulled(self, number: int = 7, attempt: int | None = 0, can_write: bool = True, **changes: Any) -> Decision:
        """News of a pull request; by default of the one of the current attempt."""
        if attempt == 0:
            attempt = self.task.attempt
        by_us = changes.pop("by_us", False)
        facts = pull(number, **{"branch": f"task/1-{attempt}", "at": self.now, **changes})
        return self.hears(PullSeen(facts, attempt, can_write, by_us))

    def in_review(self) -> Story:
        """An agent got the ready task and opened its pull request #7."""
        self.assigned().begun()
        self.pulled()
        assert self.task.status is Status.REVIEW
        return self

    def checks(self, state: ChecksState, sha: str | None = None, *failed: FailedCheck) -> Decision:
        """The checks of a commit; of the head, unless said otherwise."""
        return self.hears(ChecksSeen(sha or self.pull.head_sha, state, failed))

    def merge_tried(self, clean: bool | None = True, sha: str | None = None, **changes: Any) -> Decision:
        """The head was merged with its base on the mirror."""
        values: dict[str, Any] = {"base_sha": BASE, **changes}
        values["files"] = tuple(f if isinstance(f, FileConflict) else FileConflict(f) for f in values.get("files", ()))
        return self.hears(TrialMergeDone(self.pull.number, sha or self.pull.head_sha, clean=clean, **values))

    def merged(self, **changes: Any) -> Decision:
        """Its pull request was merged."""
        current = self.pull
        return self.pulled(
            current.number, attempt=None, can_write=False, branch=current.branch, sha=current.head_sha, merged=True,
            **changes,
        )  # fmt: skip

    def reviewed(self, state: str, by: Actor = BOB, *, can_write: bool = True, text: str = "", **more: Any) -> Decision:
        """Somebody reviews the pull request."""
        values = {"review_id": 900, "pull_number": self.pull.number, "sha": self.pull.head_sha, **more}
        return self.hears(ReviewSeen(reviewer=by, can_write=can_write, state=state, body=text, **values))

    def says(self, command: str, by: Actor = ALICE, role: str = "write", **more: Any) -> Decision:
        """Somebody gives a slash command, on the issue."""
        name, _, argument = command.removeprefix("/").partition(" ")
        self.keys += 1
        return self.hears(CommandReceived(1, name, argument, by, role, f"{self.keys}:x", **more))

    def started(self) -> Story:
        """The call that starts the agent was accepted."""
        self.hears(AgentStarted(self.task.attempt))
        return self

    def silent(self, kind: DeadlineKind) -> Decision:
        """Its agent is asked for a sign of life, there is none, and time goes by."""
        if kind is DeadlineKind.ACK:
            self.started()
        self.due(kind)
        self.hears(AgentPollEmpty(self.task.attempt))
        return self.due(kind)

    def due(self, kind: DeadlineKind) -> Decision:
        """Time goes by until this deadline is due."""
        at = next(d.due_at for d in deadlines_of(self.task, self.policy.timeouts) if d.kind is kind)
        self.now = max(self.now, at)
        return self.hears(DeadlineDue(kind.value, self.task.attempt))

    # What came of it

    def told(self, type_: EventType) -> bool:
        """Whether the last decision wrote a line of this type into the audit trail."""
        return any(event.type is type_ for event in self.last.events)

    def events(self, type_: EventType) -> list[Event]:
        """What lines of this type the last decision wrote into the audit trail."""
        return [event for event in self.last.events if event.type is type_]

    def wanted(self, *kinds: type[Effect]) -> list[Any]:
        """The effects of these kinds that the last decision asks for."""
        return [effect for effect in self.last.effects if isinstance(effect, kinds)]

    def said(self) -> str:
        """All that the last decision writes in comments."""
        return "\n".join(effect.body for effect in self.wanted(Comment, Escalate))

    def packet(self) -> Mapping[str, Any]:
        """The packet of the agent that the last decision starts."""
        (start,) = self.wanted(StartAgent)
        return dict(start.packet)


def _is_blind(signal: Signal) -> bool:
    """Whether the unit of work gathers no surroundings for it."""
    return not isinstance(signal, IssueSeen | DependencyChanged | BlockerCleared | CommandReceived)


def holds_always(task: Task, config: RepositoryConfig) -> None:
    """What is true of any task after any decision."""
    labels = labels_of(task)
    assert [label for label in labels if label.startswith("status:")] == [f"status:{task.status}"]
    assert len([label for label in labels if label in {"P0", "P1", "P2"}]) == 1
    assert len([label for label in labels if label.startswith("type:")]) == 1
    assert len([label for label in labels if label.startswith("agent:")]) == bool(task.lease)
    numbers = [attempt.number for attempt in task.history]
    assert len(numbers) == len(set(numbers)), "no attempt ends twice"
    for role in Role:
        own = [attempt.number for attempt in task.history if attempt.role is role]
        assert own == sorted(own), "attempts grow"
    assert max(numbers, default=0) <= task.attempt
    if task.lease:
        assert task.lease.attempt not in numbers
        assert task.lease.attempt == task.attempt or task.status is Status.REVIEW
        assert task.status is Status.IN_PROGRESS or (task.status, task.lease.role) == (Status.REVIEW, Role.IMPLEMENT)
    if task.review:
        assert task.status is Status.REVIEW
        assert (task.review.role, task.review.attempt) == (Role.REVIEW, task.attempt)
        assert task.lease is None or task.lease.agent != task.review.agent, "nobody reviews their own work"
    if task.status is Status.IN_PROGRESS:
        assert task.lease
    if task.status is Status.REVIEW:
        assert task.pull
    if task.status in (Status.PENDING, Status.READY):
        assert task.pull is None
        assert bool(task.missing) == (task.status is Status.PENDING)
    if task.status is Status.READY:
        assert task.issue_open
        assert task.approved_digest == task.text_digest
    kinds = {deadline.kind for deadline in deadlines_of(task, config.timeouts)}
    assert bool(kinds) == (task.status is not Status.DONE)
    at_work = task.status in (Status.IN_PROGRESS, Status.REVIEW) and not (task.held and task.held.paused)
    assert (DeadlineKind.STALL in kinds) == at_work, "whoever is working on it, it may come to stand still"
    if task.stall:
        assert at_work
        assert Flag.STALLED in task.flags
    assert task_from_json(task_to_json(task)) == task


__all__ = [
    "ALICE",
    "BASE",
    "BOB",
    "CRITIC",
    "MALLORY",
    "MERGE",
    "NOW",
    "NO_SERVICES",
    "REPOSITORY",
    "ROBOT",
    "SHA",
    "SHA2",
    "AgentStartFailed",
    "AgentStarted",
    "BaseMoved",
    "MergeRefused",
    "Story",
    "agent",
    "body",
    "holds_always",
    "issue",
    "policy",
    "pull",
    "red",
]  # fmt: skip
