"""Building blocks for tests of the rules: people, issues, pull requests, and a story that one task goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import aiohttp

from adapters.agents import Services
from adapters.agents.actions import to_signal
from adapters.database.codec import effect_from_json, effect_to_json
from adapters.github.models import WorkflowRun
from config.labels import FIXED_LABELS, LabelDefinition, agent_label, capability_label, label_definition
from config.repository import RepositoryConfig
from config.task_templates import Templates, built_in_templates
from config.team import AgentOverride, Team
from core.assignment.rules import Agent
from core.audit.events import Event, EventType
from core.conflicts.pulls import ConflictingPull, FileConflict, Precedence
from core.decide import CommandContext, Context, Decision, decide
from core.effects.base import AddReaction, Comment, Effect, Escalate, StartAgent
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
from core.task.labels import capabilities_of
from core.task.model import Actor, AssignmentDecision, ChecksState, Lease, Pull, Status, Task
from tests.invariants import assert_invariants

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NO_SERVICES = Services(cast(aiohttp.ClientSession, None), {})  # for adapters that talk to GitHub alone
REPOSITORY = "acme/shop"

ALICE = Actor(1, "alice")  # maintains the repository
BOB = Actor(2, "bob")  # may write
MALLORY = Actor(3, "mallory")  # has no write access
ROBOT = Actor(4, "codex[bot]", is_bot=True)
CRITIC = Actor(5, "critic[bot]", is_bot=True)  # another bot, which reviews

SHA = "a" * 40
OTHER_SHA = "b" * 40
BASE_SHA = "c" * 40
MERGE_SHA = "d" * 40


def policy(**changes: Any) -> RepositoryConfig:
    """A repository's configuration with two agents, `codex` (python, tests) and `claude` (python, docs)."""
    actions = {"adapter": "actions", "workflow": "agent.yml"}
    agents = {
        "codex": {**actions, "capabilities": ("python", "tests")},
        "claude": {**actions, "capabilities": ("python", "docs")},
    }
    return RepositoryConfig.model_validate({"version": 1, "agents": agents, **changes})


def repository_labels(policy: RepositoryConfig) -> list[LabelDefinition]:
    """All labels that the tasks of a repository with this configuration can need."""
    names = (*map(capability_label, sorted(capabilities_of(policy))), *map(agent_label, policy.agents))
    return [*FIXED_LABELS, *map(label_definition, names)]


def body(
    goal: str = "Sell apples.",
    criteria: tuple[str, ...] = ("apples are sold",),
    *,
    ticked: bool = False,
    **headings: str,
) -> str:
    """The text of an issue; further headings by keyword (`depends_on="#3"`)."""
    checkbox = "x" if ticked else " "
    parts = [f"### Goal\n\n{goal}"]
    if criteria:
        parts.append("### Acceptance criteria\n\n" + "\n".join(f"- [{checkbox}] {c}" for c in criteria))
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
        merge_sha=MERGE_SHA if merged else None,
        from_fork=fork,
        updated_at=at,
    )


def agent(name: str = "codex", *capabilities: str, **changes: Any) -> Agent:
    """An agent as the assignment sees it; with room for one task unless said otherwise."""
    values: dict[str, Any] = {"prefers": frozenset(), "max_tasks": 1, "roles": frozenset({"implement"}), **changes}
    return Agent(name, frozenset(capabilities), **values)


def failed_check(name: str = "tests", **changes: Any) -> FailedCheck:
    """A failed check."""
    return FailedCheck(name, f"https://github.com/{REPOSITORY}/runs/1", **changes)


def conflicting_pull(
    pull: int, *, first: bool = False, waits: Precedence = Precedence.OTHER, task: int | None = 3, **changes: Any
) -> ConflictingPull:
    """Another open pull request that conflicts; it was opened an hour before (`first`) or after ours."""
    opened = NOW - timedelta(hours=1) if first else NOW + timedelta(hours=1)
    values: dict[str, Any] = {
        "sha": OTHER_SHA,
        "reason": "It was opened later.",
        "files": (FileConflict("shop/a.py"),),
        **changes,
    }
    return ConflictingPull(
        pull, task, branch=f"task/{task}-1", owner="codex", opened_at=opened, is_older=first, precedence=waits, **values
    )


class Story:
    """One task, and what it hears. Each step takes a minute; each decision is checked for what always holds."""

    def __init__(self, **changes: Any) -> None:
        """`changes` go into the repository's configuration."""
        self.policy = policy(**changes)
        self.now = NOW
        self.current_task: Task | None = None
        self.last_decision = Decision(None)
        self.dependencies: dict[str, bool | None] = {}
        self.sources: dict[str, Source] = {}
        self.referenced_tasks: dict[str, Task] = {}
        self.duplicates: tuple[int, ...] = ()
        self.dependency_results: tuple[DependencyResult, ...] = ()
        self.graph: dict[str, tuple[str, ...]] = {}
        self.agents: tuple[Agent, ...] = ()
        self.agent_overrides: dict[str, AgentOverride] = {}  # what people changed of agents while the bot runs
        self.held_task_counts: dict[str, int] = {}
        self.audit_trail: tuple[Event, ...] = ()
        self.queue: tuple[tuple[Task, int], ...] = ()
        self.templates = Templates(built_in_templates())
        self.issue = issue()
        self.command_count = 0

    @property
    def task(self) -> Task:
        """The task as it is now."""
        assert self.current_task is not None
        return self.current_task

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
        readiness_inputs = ReadinessInputs(
            capabilities=frozenset(c for a in self.policy.agents.values() for c in a.capabilities),
            graph=self.graph,
            dependencies=self.dependencies,
            duplicates=self.duplicates,
            sources=self.sources,
        )
        return Context(
            self.now,
            self.policy,
            42,
            REPOSITORY,
            readiness_inputs=readiness_inputs,
            dependency_results=self.dependency_results,
            agents=self.agents,
            team=Team(self.policy.agents, overrides=self.agent_overrides),
            command=CommandContext(
                active_tasks=self.held_task_counts,
                referenced_tasks=self.referenced_tasks,
                recent_events=self.audit_trail,
                assignments=self.audit_trail,
                queue=self.queue,
                templates=self.templates,
            ),
        )

    def advance(self, **duration: float) -> Story:
        """Time goes by."""
        self.now += timedelta(**duration)
        return self

    def apply(self, signal: Signal) -> Decision:
        """The rules decide on a signal."""
        self.advance(minutes=1)
        context = (
            replace(self.context, readiness_inputs=ReadinessInputs()) if _needs_no_inputs(signal) else self.context
        )
        decision = decide(self.current_task, signal, context)
        assert decide(self.current_task, signal, context) == decision
        if decision.task is not None:
            assert_invariants(decision.task, self.policy)
        for effect in decision.effects:
            assert effect.key
            assert effect_from_json(type(effect).__name__, effect_to_json(effect)) == effect
        self.current_task, self.last_decision = decision.task, decision
        self.agent_overrides |= decision.team_changes
        return decision

    # What people do to the issue

    def see_issue(self, sender: Actor | None = ALICE, **changes: Any) -> Decision:
        """The issue as it was, with these changes (fields of `issue`), as `sender` left it."""
        signal_fields = {key: changes.pop(key) for key in ("label", "label_added", "sender_is_us") if key in changes}
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
        return self.apply(
            IssueSeen(
                self.issue,
                sender=sender,
                sender_can_write=sender in (ALICE, BOB),
                dependencies={ref: Dependency(finished) for ref, finished in self.dependencies.items()},
                **signal_fields,
            )
        )

    def add_label(self, label: str, sender: Actor = ALICE) -> Decision:
        """A user adds a label."""
        labels = (*self.issue.labels, label)
        return self.see_issue(sender, labels=labels, label=label, label_added=True)

    def remove_label(self, label: str, sender: Actor = ALICE) -> Decision:
        """A user removes a label."""
        labels = tuple(existing for existing in self.issue.labels if existing != label)
        return self.see_issue(sender, labels=labels, label=label, label_added=False)

    def file_ready_task(self, **changes: Any) -> Story:
        """A maintainer files a task that is ready."""
        self.see_issue(**changes)
        assert self.task.status is Status.READY, self.task.readiness_problems
        return self

    # What happens to its attempts

    def assign(self, name: str | None = "codex", reason: str = "it is free", **choice: Any) -> Story:
        """The assignment pass chose this agent; `role` and `hopeless` are fields of its choice."""
        self.apply(Assigned(AssignmentDecision(name, reason, (), self.now, **choice)))
        return self

    def start_run(self, run_id: int = 100) -> Story:
        """The agent's run is at work."""
        return self.report_run("in_progress", run_id=run_id)

    def report_run(
        self, status: str, conclusion: str | None = None, run_id: int = 100, attempt: int | None = None
    ) -> Story:
        """News of the agent's run."""
        attempt = attempt or self.task.attempt
        url = f"https://github.com/runs/{run_id}"
        workflow_run = SimpleNamespace(
            id=run_id, status=status, conclusion=conclusion, html_url=url, updated_at=self.now
        )
        self.apply(to_signal(cast(WorkflowRun, workflow_run), attempt))
        return self

    def see_pull(self, number: int = 7, attempt: int | None = 0, can_write: bool = True, **changes: Any) -> Decision:
        """News of a pull request; by default of the one of the current attempt."""
        if attempt == 0:
            attempt = self.task.attempt
        by_us = changes.pop("by_us", False)
        pull_facts = pull(number, **{"branch": f"task/1-{attempt}", "at": self.now, **changes})
        return self.apply(PullSeen(pull_facts, attempt, can_write, by_us))

    def reach_review(self) -> Story:
        """An agent got the ready task and opened its pull request #7."""
        self.assign().start_run()
        self.see_pull()
        assert self.task.status is Status.REVIEW
        return self

    def report_checks(self, state: ChecksState, sha: str | None = None, *failed: FailedCheck) -> Decision:
        """The checks of a commit; of the head, unless said otherwise."""
        return self.apply(ChecksSeen(sha or self.pull.head_sha, state, failed))

    def report_trial_merge(self, clean: bool | None = True, sha: str | None = None, **changes: Any) -> Decision:
        """The head was merged with its base on the mirror."""
        values: dict[str, Any] = {"base_sha": BASE_SHA, **changes}
        values["files"] = tuple(
            file if isinstance(file, FileConflict) else FileConflict(file) for file in values.get("files", ())
        )
        return self.apply(TrialMergeDone(self.pull.number, sha or self.pull.head_sha, clean=clean, **values))

    def merge_pull(self, **changes: Any) -> Decision:
        """Its pull request was merged."""
        current = self.pull
        return self.see_pull(
            current.number, attempt=None, can_write=False, branch=current.branch, sha=current.head_sha, merged=True,
            **changes,
        )  # fmt: skip

    def review_pull(
        self, state: str, reviewer: Actor = BOB, *, can_write: bool = True, text: str = "", **more: Any
    ) -> Decision:
        """A user reviews the pull request."""
        values = {"review_id": 900, "pull_number": self.pull.number, "sha": self.pull.head_sha, **more}
        return self.apply(ReviewSeen(reviewer=reviewer, can_write=can_write, state=state, body=text, **values))

    def run_command(self, command: str, author: Actor = ALICE, role: str = "write", **more: Any) -> Decision:
        """A user comments a slash command on the issue."""
        name, _, argument = command.removeprefix("/").partition(" ")
        self.command_count += 1
        return self.apply(CommandReceived(1, name, argument, author, role, f"{self.command_count}:x", **more))

    def accept_start(self) -> Story:
        """The call that starts the agent was accepted."""
        self.apply(AgentStarted(self.task.attempt))
        return self

    def time_out(self, kind: DeadlineKind) -> Decision:
        """Its agent is asked for a sign of life, there is none, and time goes by."""
        if kind is DeadlineKind.ACK:
            self.accept_start()
        self.reach_deadline(kind)
        self.apply(AgentPollEmpty(self.task.attempt))
        return self.reach_deadline(kind)

    def reach_deadline(self, kind: DeadlineKind) -> Decision:
        """Time goes by until this deadline is due."""
        due_at = next(d.due_at for d in deadlines_of(self.task, self.policy.timeouts) if d.kind is kind)
        self.now = max(self.now, due_at)
        return self.apply(DeadlineDue(kind.value, self.task.attempt))

    # What came of it

    def has_event(self, event_type: EventType) -> bool:
        """Whether the last decision wrote a line of this type into the audit trail."""
        return any(event.type is event_type for event in self.last_decision.events)

    def events(self, event_type: EventType) -> list[Event]:
        """What lines of this type the last decision wrote into the audit trail."""
        return [event for event in self.last_decision.events if event.type is event_type]

    def effects_of_type(self, *kinds: type[Effect]) -> list[Any]:
        """The effects of these kinds that the last decision asks for."""
        return [effect for effect in self.last_decision.effects if isinstance(effect, kinds)]

    def comment_text(self) -> str:
        """All that the last decision writes in comments."""
        return "\n".join(effect.body for effect in self.effects_of_type(Comment, Escalate))

    def packet(self) -> Mapping[str, Any]:
        """The packet of the agent that the last decision starts."""
        (start,) = self.effects_of_type(StartAgent)
        return dict(start.packet)


def _needs_no_inputs(signal: Signal) -> bool:
    """Whether the unit of work gathers no surroundings for it."""
    return not isinstance(signal, IssueSeen | DependencyChanged | BlockerCleared | CommandReceived)


__all__ = [
    "ALICE",
    "BASE_SHA",
    "BOB",
    "CRITIC",
    "MALLORY",
    "MERGE_SHA",
    "NOW",
    "NO_SERVICES",
    "OTHER_SHA",
    "REPOSITORY",
    "ROBOT",
    "SHA",
    "AgentStartFailed",
    "AgentStarted",
    "BaseMoved",
    "MergeRefused",
    "Story",
    "agent",
    "assert_invariants",
    "body",
    "failed_check",
    "issue",
    "policy",
    "pull",
]  # fmt: skip


def refused(story: Story) -> str:
    """Return the text of the refusal; nothing but the answer may have changed."""
    assert story.last_decision.events == ()
    assert all(isinstance(effect, Comment | AddReaction) for effect in story.last_decision.effects)
    return story.comment_text()
