"""What the unit of work does, with dictionaries for tables: for tests of whole lives of tasks."""

from __future__ import annotations

from collections.abc import Callable

from core.assignment.queue import dependents_depth, order
from core.assignment.rules import Agent, assign, busy, exclusions, part_of
from core.audit.events import EventType
from core.conflicts.in_progress import first_overlapping, in_progress_of, stopped
from core.decide import Context, Decision, decide
from core.decide.commands.dependencies import is_finished
from core.effects.base import CloseIssue, MergePull, StartAgent
from core.intake.readiness import ReadinessInputs
from core.review.definition_of_done import wants_reviewer
from core.signals.base import (
    Assigned,
    BlockerCleared,
    CommandReceived,
    DependencyChanged,
    IssueSeen,
    OverlapPredicted,
    Signal,
)
from core.task.model import AssignmentDecision, ChecksState, Role, Status, Task
from tests.builders import (
    NOW,
    REPOSITORY,
    agent,
    holds_always,
    policy,
)

ACTIONS = {"adapter": "actions", "workflow": "agent.yml"}
ASSIGNED = (EventType.TASK_ASSIGNED, EventType.TASK_REASSIGNED, EventType.REVIEW_ASSIGNED)


class Shell:
    """What the unit of work does, without a database."""

    def __init__(self) -> None:
        self.policy = policy(
            agents={
                "codex": {**ACTIONS, "capabilities": ("python", "tests"), "roles": ("implement", "review")},
                "claude": {**ACTIONS, "capabilities": ("python", "docs"), "roles": ("plan", "implement", "review")},
                "oracle": {**ACTIONS, "roles": ("plan", "review")},
            },
            priorities={"urgent": "P0"},
            plan="agent",
            merge={"auto": True, "review": "agent", "update": "needed"},
            limits={"max_attempts": 3},
        )
        self.now = NOW
        self.tasks: dict[int, Task] = {}
        self.dependencies: dict[int, dict[str, bool | None]] = {}
        self.counts = dict.fromkeys(self.policy.agents, 0)
        self.started: set[str] = set()
        self.approved: set[str] = set()  # goals that a writer wrote or approved
        self.closed: Callable[[int], bool] = lambda number: False
        self.changed = False

    def apply(self, number: int, signal: Signal) -> Decision:
        before = self.tasks.get(number)
        around = self._around(number, signal)
        context = Context(self.now, self.policy, 42, REPOSITORY, readiness_inputs=around, agents=tuple(self.agents()))
        decision = decide(before, signal, context)
        assert decide(before, signal, context) == decision, "the same input gives the same decision"
        after = decision.task
        if after is not None:
            self.tasks[number] = after
            self._judge(before, after, signal, decision)
            if isinstance(signal, IssueSeen) and after.issue_updated_at == signal.issue.updated_at:
                self.dependencies[number] = dict(around.dependencies)
            self.changed = self.changed or before is None or _matters(before) != _matters(after)
            if before is None or _finished(before) != _finished(after):
                for dependent, needs in list(self.dependencies.items()):
                    if f"#{number}" in needs:
                        self.apply(dependent, DependencyChanged(number))
            is_over = is_finished(after) and not (before and is_finished(before))
            if is_over or stopped(before, after):
                for other in list(self.tasks.values()):
                    if other.held and other.held.behind == f"#{number}":
                        self.apply(other.number, BlockerCleared(number, is_over))
        return decision

    def agents(self) -> list[Agent]:
        hands = [t.lease.agent for t in self.tasks.values() if t.lease and t.status is Status.IN_PROGRESS]
        hands += [t.review.agent for t in self.tasks.values() if t.review]
        return [
            agent(
                name,
                *spec.capabilities,
                roles=frozenset(spec.roles),
                holding=hands.count(name),
                assigned=self.counts[name],
            )
            for name, spec in self.policy.agents.items()
        ]

    def finish(self) -> None:
        """Hand out what can be handed out; again where somebody was found for a task that waits for another."""
        while self.changed and not all(busy(a) for a in self.agents()):
            self.changed = False
            self._hand_out(self.agents())

    def _hand_out(self, agents: list[Agent]) -> None:
        free = [t for t in self.tasks.values() if self.waits(t)]
        queue = order(free, dependents_depth(self._graph()))
        taken: list[tuple[Task, str]] = []
        choices = assign(queue, agents, self.policy.scoring, self.now, self.policy.plan)
        for task, choice in zip(queue, choices, strict=True):
            if waits := self._behind(self.tasks[task.number], choice):
                self.apply(task.number, waits)
                continue
            decision = self.apply(task.number, Assigned(choice))
            if any(e.type in ASSIGNED for e in decision.events):
                assert choice.agent
                self.counts[choice.agent] += 1
                taken.append((task, choice.agent))
        for left in (t for t in queue if self.waits(self.tasks[t.number])):
            role = part_of(left, agents, self.policy.plan)
            for task, name in taken:
                passed_over = left.priority.rank < task.priority.rank and exclusions(left, agents, role)[name] is None
                assert not passed_over, f"#{left.number} ({left.priority}) was passed over for #{task.number}"

    def _behind(self, task: Task, choice: AssignmentDecision) -> OverlapPredicted | None:
        if choice.agent is None or choice.role is not Role.IMPLEMENT:
            return None
        found = first_overlapping(
            task, map(in_progress_of, self.tasks.values()), self.policy.conflicts.overlap_threshold
        )
        return OverlapPredicted(found[0].number, found[1].files, found[1].probability) if found else None

    def waits(self, task: Task) -> bool:
        """Whether somebody is to be found for it: to plan or implement it, or to review its pull request."""
        return task.in_line or (not task.withdrawn and wants_reviewer(task, "agent"))

    def _graph(self) -> dict[int, tuple[int, ...]]:
        return {
            number: tuple(int(ref[1:]) for ref in self.dependencies.get(number, {}))
            for number, task in self.tasks.items()
            if task.status is not Status.DONE and not task.withdrawn
        }

    def _around(self, number: int, signal: Signal) -> ReadinessInputs:
        if not isinstance(signal, IssueSeen | DependencyChanged | BlockerCleared | CommandReceived):
            return ReadinessInputs()
        references = dict(self.dependencies.get(number, {}))
        if isinstance(signal, IssueSeen):
            references = {ref: need.finished for ref, need in signal.dependencies.items()}
        references |= {
            ref: _finished(self.tasks[int(ref[1:])]) for ref in references if int(ref[1:]) in self.tasks
        }  # fmt: skip
        known = self.tasks.get(number)
        fingerprint = signal.issue.fingerprint if isinstance(signal, IssueSeen) else known and known.fingerprint
        twins = [
            t.number
            for t in self.tasks.values()
            if t.number < number and t.fingerprint == fingerprint and t.is_open and not t.withdrawn
        ]
        capabilities = frozenset(c for spec in self.policy.agents.values() for c in spec.capabilities)
        ways = {f"#{task}": tuple(f"#{needed}" for needed in needs) for task, needs in self._graph().items()}
        return ReadinessInputs(capabilities, ways, references, twins)

    def _judge(self, before: Task | None, after: Task, signal: Signal, decision: Decision) -> None:
        holds_always(after, self.policy)
        if before is not None:
            assert after.attempt >= before.attempt
            assert after.history[: len(before.history)] == before.history, "the history is never rewritten"
            if before.status is Status.DONE and after.status is not Status.DONE:
                assert isinstance(signal, IssueSeen)
                assert not signal.sender_is_us
                assert signal.issue.open
        if not after.withdrawn:
            assert decision.deadlines is None or bool(decision.deadlines) == (after.status is not Status.DONE)
        for effect in decision.effects:
            if isinstance(effect, StartAgent):
                self._judge_start(after, effect)
            if isinstance(effect, MergePull):
                assert after.pull
                assert effect.sha == after.pull.head_sha
                assert after.pull.checks in (ChecksState.SUCCESS, ChecksState.NONE)
                assert all(c.ticked for c in after.intake.criteria)
                assert after.intake.goal in self.approved, "a stranger's ticks merge nothing"
                assert any(a.sha == effect.sha and (a.agent or not a.by_bot) for a in after.pull.approvals.values()), (
                    "a bot that was not asked approves nothing"
                )
            if isinstance(effect, CloseIssue):
                assert after.status is Status.DONE

    def _judge_start(self, task: Task, effect: StartAgent) -> None:
        assert effect.key not in self.started, "one attempt, one start"
        self.started.add(effect.key)
        assert effect.packet["goal"] in self.approved, "a stranger's text never reaches an agent"
        lease = task.lease_of(effect.attempt)
        assert lease
        assert (lease.agent, lease.role.value) == (effect.agent, effect.packet["role"])
        assert lease.role.value in self.policy.agents[effect.agent].roles
        assert lease.role is not Role.PLAN or task.plan is None, "what is planned is not planned again"
        assert task.issue_open
        assert not task.withdrawn
        assert not task.missing
        for dependency in task.intake.dependencies:
            there = self.tasks.get(dependency.number)
            assert _finished(there) if there else self.closed(dependency.number), f"#{dependency.number} is still open"


def _matters(task: Task) -> tuple[object, ...]:
    hands = (task.lease, task.review, wants_reviewer(task, "agent"))
    return (task.status, task.priority, task.required, task.waits_for, task.withdrawn, task.held, *hands)


def _finished(task: Task) -> bool:
    return not task.issue_open if task.withdrawn else task.status is Status.DONE
