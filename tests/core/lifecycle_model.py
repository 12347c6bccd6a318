"""What the unit of work does, with dictionaries for tables: for tests of whole lives of tasks."""

from __future__ import annotations

from collections.abc import Callable

from core.assignment.queue import dependents_depth, sort_queue
from core.assignment.rules import Agent, assign, busy_reason, exclusions, next_role
from core.audit.events import EventType
from core.conflicts.in_progress import first_overlapping, has_stopped, in_progress_of
from core.decide import Context, Decision, decide
from core.decide.commands.dependencies import is_finished
from core.effects.base import CloseIssue, MergePull, StartAgent
from core.intake.readiness import ReadinessInputs
from core.review.definition_of_done import needs_reviewer
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
from tests.builders import NOW, REPOSITORY, agent, policy
from tests.invariants import assert_invariants

ACTIONS = {"adapter": "actions", "workflow": "agent.yml"}
ASSIGNED_EVENTS = (EventType.TASK_ASSIGNED, EventType.TASK_REASSIGNED, EventType.REVIEW_ASSIGNED)


class InMemoryUnitOfWork:
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
        self.started_keys: set[str] = set()
        self.approved_goals: set[str] = set()  # goals that a writer wrote or approved
        self.is_closed: Callable[[int], bool] = lambda number: False
        self.has_changed = False

    def apply(self, number: int, signal: Signal) -> Decision:
        before = self.tasks.get(number)
        readiness_inputs = self._readiness_inputs(number, signal)
        context = Context(
            self.now, self.policy, 42, REPOSITORY, readiness_inputs=readiness_inputs, agents=tuple(self.agents())
        )
        decision = decide(before, signal, context)
        assert decide(before, signal, context) == decision, "the same input gives the same decision"
        after = decision.task
        if after is not None:
            self.tasks[number] = after
            self._check_decision(before, after, signal, decision)
            if isinstance(signal, IssueSeen) and after.issue_updated_at == signal.issue.updated_at:
                self.dependencies[number] = dict(readiness_inputs.dependencies)
            self.has_changed = (
                self.has_changed or before is None or _assignment_state(before) != _assignment_state(after)
            )
            if before is None or _is_finished(before) != _is_finished(after):
                for dependent, references in list(self.dependencies.items()):
                    if f"#{number}" in references:
                        self.apply(dependent, DependencyChanged(number))
            is_over_now = is_finished(after) and not (before and is_finished(before))
            if is_over_now or has_stopped(before, after):
                for waiting_task in list(self.tasks.values()):
                    if waiting_task.hold and waiting_task.hold.blocker == f"#{number}":
                        self.apply(waiting_task.number, BlockerCleared(number, is_over_now))
        return decision

    def agents(self) -> list[Agent]:
        holders = [task.lease.agent for task in self.tasks.values() if task.lease and task.status is Status.IN_PROGRESS]
        holders += [task.review_lease.agent for task in self.tasks.values() if task.review_lease]
        return [
            agent(
                name,
                *spec.capabilities,
                roles=frozenset(spec.roles),
                active_tasks=holders.count(name),
                total_assigned=self.counts[name],
            )
            for name, spec in self.policy.agents.items()
        ]

    def assign_all(self) -> None:
        """Hand out what can be handed out; again if an agent was found for a task that waits for another."""
        while self.has_changed and not all(busy_reason(a) for a in self.agents()):
            self.has_changed = False
            self._run_assignment_pass(self.agents())

    def _run_assignment_pass(self, agents: list[Agent]) -> None:
        waiting_tasks = [t for t in self.tasks.values() if self.needs_agent(t)]
        queue = sort_queue(waiting_tasks, dependents_depth(self._graph()))
        assigned_tasks: list[tuple[Task, str]] = []
        choices = assign(queue, agents, self.policy.scoring, self.now, self.policy.plan)
        for task, choice in zip(queue, choices, strict=True):
            if overlap := self._predicted_overlap(self.tasks[task.number], choice):
                self.apply(task.number, overlap)
                continue
            decision = self.apply(task.number, Assigned(choice))
            if any(event.type in ASSIGNED_EVENTS for event in decision.events):
                assert choice.agent
                self.counts[choice.agent] += 1
                assigned_tasks.append((task, choice.agent))
        for unassigned in (t for t in queue if self.needs_agent(self.tasks[t.number])):
            role = next_role(unassigned, agents, self.policy.plan)
            for task, name in assigned_tasks:
                is_passed_over = (
                    unassigned.priority.rank < task.priority.rank and exclusions(unassigned, agents, role)[name] is None
                )
                assert not is_passed_over, (
                    f"#{unassigned.number} ({unassigned.priority}) was passed over for #{task.number}"
                )

    def _predicted_overlap(self, task: Task, choice: AssignmentDecision) -> OverlapPredicted | None:
        if choice.agent is None or choice.role is not Role.IMPLEMENT:
            return None
        overlap = first_overlapping(
            task, map(in_progress_of, self.tasks.values()), self.policy.conflicts.overlap_threshold
        )
        return OverlapPredicted(overlap[0].number, overlap[1].files, overlap[1].probability) if overlap else None

    def needs_agent(self, task: Task) -> bool:
        """Whether the task needs an agent: to plan or implement it, or to review its pull request."""
        return task.is_assignable or (not task.untracked and needs_reviewer(task, "agent"))

    def _graph(self) -> dict[int, tuple[int, ...]]:
        return {
            number: tuple(int(ref[1:]) for ref in self.dependencies.get(number, {}))
            for number, task in self.tasks.items()
            if task.status is not Status.DONE and not task.untracked
        }

    def _readiness_inputs(self, number: int, signal: Signal) -> ReadinessInputs:
        if not isinstance(signal, IssueSeen | DependencyChanged | BlockerCleared | CommandReceived):
            return ReadinessInputs()
        references = dict(self.dependencies.get(number, {}))
        if isinstance(signal, IssueSeen):
            references = {reference: dependency.finished for reference, dependency in signal.dependencies.items()}
        references |= {
            reference: _is_finished(self.tasks[int(reference[1:])])
            for reference in references
            if int(reference[1:]) in self.tasks
        }  # fmt: skip
        current = self.tasks.get(number)
        fingerprint = signal.issue.fingerprint if isinstance(signal, IssueSeen) else current and current.fingerprint
        duplicates = [
            other_task.number
            for other_task in self.tasks.values()
            if other_task.number < number
            and other_task.fingerprint == fingerprint
            and other_task.is_open
            and not other_task.untracked
        ]
        capabilities = frozenset(capability for spec in self.policy.agents.values() for capability in spec.capabilities)
        graph = {
            f"#{task}": tuple(f"#{dependency_number}" for dependency_number in dependency_numbers)
            for task, dependency_numbers in self._graph().items()
        }
        return ReadinessInputs(capabilities, graph, references, duplicates)

    def _check_decision(self, before: Task | None, after: Task, signal: Signal, decision: Decision) -> None:
        assert_invariants(after, self.policy)
        if before is not None:
            assert after.attempt >= before.attempt
            assert after.history[: len(before.history)] == before.history, "the history is never rewritten"
            if before.status is Status.DONE and after.status is not Status.DONE:
                assert isinstance(signal, IssueSeen)
                assert not signal.sender_is_us
                assert signal.issue.open
        if not after.untracked:
            assert decision.deadlines is None or bool(decision.deadlines) == (after.status is not Status.DONE)
        for effect in decision.effects:
            if isinstance(effect, StartAgent):
                self._check_start(after, effect)
            if isinstance(effect, MergePull):
                assert after.pull
                assert effect.sha == after.pull.head_sha
                assert after.pull.checks in (ChecksState.SUCCESS, ChecksState.NONE)
                assert all(criterion.ticked for criterion in after.intake.criteria)
                assert after.intake.goal in self.approved_goals, "a stranger's ticks merge nothing"
                assert any(
                    approval.sha == effect.sha and (approval.agent or not approval.by_bot)
                    for approval in after.pull.approvals.values()
                ), "a bot that was not asked approves nothing"
            if isinstance(effect, CloseIssue):
                assert after.status is Status.DONE

    def _check_start(self, task: Task, effect: StartAgent) -> None:
        assert effect.key not in self.started_keys, "one attempt, one start"
        self.started_keys.add(effect.key)
        assert effect.packet["goal"] in self.approved_goals, "a stranger's text never reaches an agent"
        lease = task.find_lease(effect.attempt)
        assert lease
        assert (lease.agent, lease.role.value) == (effect.agent, effect.packet["role"])
        assert lease.role.value in self.policy.agents[effect.agent].roles
        assert lease.role is not Role.PLAN or task.plan is None, "what is planned is not planned again"
        assert task.issue_open
        assert not task.untracked
        assert not task.readiness_problems
        for dependency in task.intake.dependencies:
            dependency_task = self.tasks.get(dependency.number)
            assert _is_finished(dependency_task) if dependency_task else self.is_closed(dependency.number), (
                f"#{dependency.number} is still open"
            )


def _assignment_state(task: Task) -> tuple[object, ...]:
    holders = (task.lease, task.review_lease, needs_reviewer(task, "agent"))
    return (
        task.status,
        task.priority,
        task.required_capabilities,
        task.open_dependencies,
        task.untracked,
        task.hold,
        *holders,
    )


def _is_finished(task: Task) -> bool:
    return not task.issue_open if task.untracked else task.status is Status.DONE
