"""Chooses an agent for each task, deterministically and with an explanation.

Tasks come in queue order, so no score lets a P1 pass a P0. For each task, agents that may not have it are excluded with
a reason. The others are scored and the best one wins; ties are broken by name. `choose` is the rule for one task; an
`AssignmentPass` applies it to many tasks and skips work that cannot change the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import nsmallest
from typing import Any

from config.repository import Scoring
from core.assignment.agent_state import AVAILABLE, AgentAvailability
from core.audit.events import Event, EventType
from core.task.model import AssignmentDecision, Candidate, Priority, Role, Status, Task
from core.text_safety.sanitize import one_line


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent as assignment sees it."""

    name: str
    capabilities: frozenset[str]
    prefers: frozenset[str]
    max_tasks: int
    roles: frozenset[str]
    active_tasks: int = 0  # tasks it holds
    total_assigned: int = 0  # tasks it ever received: the measure of fairness
    unavailable_reason: str | None = None  # why it takes no work (offline, draining, …)
    availability: AgentAvailability = AVAILABLE
    performance: float = 0.5  # success of its latest attempts, 0…1 (`core.assignment.stats.merits`); 0.5 if unknown


# The priority's part of the score is the same for all candidates of a task. It makes scores of different tasks
# comparable in the explanation. Three classes, evenly spaced.
_PRIORITY_PART = {Priority.P0: 1.0, Priority.P1: 0.5, Priority.P2: 0.0}
_MAX_REASON_LENGTH = 200  # characters of an exclusion in the audit log; there are at most 100 agents


def next_role(task: Task, agents: Sequence[Agent], plan: str) -> Role:
    """The next role to assign for a task. `plan` (none | agent) says who plans.

    A plan is made once, before the implementation. If no agent can plan, or planning failed, the task continues without
    a plan: a plan helps, but is never a reason to wait for ever.
    """
    if task.status is Status.REVIEW:
        return Role.REVIEW
    needs_plan = plan == "agent" and task.plan is None and task.failed_plan is None
    return (
        Role.PLAN
        if needs_plan and any("plan" in agent.roles and not agent.unavailable_reason for agent in agents)
        else Role.IMPLEMENT
    )


def missing_requirement(task: Task, agent: Agent, role: Role = Role.IMPLEMENT) -> str | None:
    """Why this agent can never have this role in the task, however long the task waits; None if it can.

    Required capabilities are required of the implementer. Planners and reviewers need not have them, but are scored by
    them.
    """
    if role.value not in agent.roles:
        return f"does not {role}"
    if role is Role.REVIEW:
        return "wrote the pull request" if agent.name in _authors(task) else _failed_review_reason(task, agent.name)
    if role is not Role.IMPLEMENT or agent.capabilities.issuperset(task.required_capabilities):
        return None
    return f"lacks {', '.join(sorted(set(task.required_capabilities) - agent.capabilities))}"


def _authors(task: Task) -> frozenset[str]:
    """The agents that worked on the pull request: its holder and all earlier holders."""
    number = task.pull.number if task.pull else None
    earlier = [attempt.worker for attempt in task.work_attempts if attempt.pull is not None and attempt.pull == number]
    return frozenset(filter(None, (*earlier, task.lease.worker if task.lease else None)))


def _failed_review_reason(task: Task, name: str) -> str | None:
    number = task.pull.number if task.pull else None
    for attempt in task.counted_attempts:
        is_failed = attempt.role is Role.REVIEW and attempt.outcome in ("failed", "silent", "stalled")
        if is_failed and attempt.agent == name and attempt.pull == number:
            return f"gave no verdict on attempt {attempt.number}"
    return None


def busy_reason(agent: Agent) -> str | None:
    """Why this agent takes no work now; None if it does."""
    if agent.unavailable_reason:
        return agent.unavailable_reason
    if agent.availability.on_probation and agent.active_tasks:
        return "failed before and already has one task as a test"
    if agent.active_tasks >= agent.max_tasks:
        return f"is at its limit of {agent.max_tasks}"
    return None


def repeated_failure(task: Task, name: str) -> str | None:
    """Why another agent should get the task: two failed attempts in a row, or one silent or stalled; else None."""
    consecutive_failures = 0
    for attempt in reversed(task.work_attempts):
        if attempt.worker != name:
            break
        if attempt.outcome == "silent":
            return f"stopped responding in attempt {attempt.number}"
        if attempt.outcome == "stalled":
            return f"made no progress in attempt {attempt.number}"
        consecutive_failures += attempt.counts_against_agent
    return "two failed attempts in a row" if consecutive_failures >= 2 else None


def exclusions(task: Task, agents: Sequence[Agent], role: Role = Role.IMPLEMENT) -> dict[str, str | None]:
    """For each agent, why it may not have this role in the task now, or None.

    Earlier failures exclude an agent only while another agent could do the task, now or when it has capacity: the same
    agent is better than no agent.
    """
    permanent_reasons = {agent.name: missing_requirement(task, agent, role) for agent in agents}
    names = {attempt.worker for attempt in task.work_attempts if attempt.worker} if role is Role.IMPLEMENT else ()
    failure_reasons = {name: reason for name in names if (reason := repeated_failure(task, name))}
    alternatives = {
        a.name for a in agents if not (permanent_reasons[a.name] or a.unavailable_reason or a.name in failure_reasons)
    }
    return {
        a.name: permanent_reasons[a.name]
        or (failure_reasons.get(a.name) if alternatives - {a.name} else None)
        or busy_reason(a)
        for a in agents
    }


def preference_match(task: Task, agent: Agent, role: Role = Role.IMPLEMENT) -> float:
    """Share of the task's preferred capabilities that the agent has, 0…1.

    A task without preferred capabilities is matched by what the agent itself prefers among the required ones, and
    otherwise matches every agent perfectly. For planners and reviewers, the required capabilities count as preferred.
    """
    wanted_capabilities = set(task.intake.preferred) | (
        set() if role is Role.IMPLEMENT else set(task.required_capabilities)
    )
    if wanted_capabilities:
        return len(wanted_capabilities & (agent.capabilities | agent.prefers)) / len(wanted_capabilities)
    if agent.prefers and task.required_capabilities:
        return 1.0 if agent.prefers & set(task.required_capabilities) else 0.5
    return 1.0


def score(task: Task, agent: Agent, max_assigned: int, scoring: Scoring, role: Role = Role.IMPLEMENT) -> Candidate:
    """The agent's score for the task, with its parts (already weighted)."""
    free_share = 1 - agent.active_tasks / agent.max_tasks
    if scoring.policy == "least-busy":
        parts = {"load": free_share}
    else:
        parts = {
            "priority": scoring.priority * _PRIORITY_PART[task.priority],
            "capability": scoring.capability * preference_match(task, agent, role),
            "load": scoring.load * free_share,
            "fairness": scoring.fairness * (1 - agent.total_assigned / max_assigned if max_assigned else 1.0),
        }
        if scoring.learned:
            parts["learned"] = scoring.learned * agent.performance
    last_attempt = next((attempt for attempt in reversed(task.history) if attempt.role is Role.IMPLEMENT), None)
    if role is Role.IMPLEMENT and last_attempt and (last_attempt.agent, last_attempt.outcome) == (agent.name, "failed"):
        # An agent that knows the branch fixes it fastest, so this is worth as much as all other parts together. An
        # agent that failed twice in a row was excluded before, and one that a person took the task from gets no bonus.
        parts["knows the branch"] = _max_score(scoring)
    return Candidate(agent.name, round(sum(parts.values()), 6), parts)


def _max_score(scoring: Scoring) -> float:
    """The highest score that the other parts can add up to."""
    if scoring.policy == "least-busy":
        return 1.0
    return scoring.priority + scoring.capability + scoring.load + scoring.fairness + scoring.learned


def choose_agent(
    task: Task, agents: Sequence[Agent], scoring: Scoring, now: datetime, role: Role = Role.IMPLEMENT
) -> AssignmentDecision:
    """Choose the agent for one role in a task, with the complete table of candidates."""
    reasons = exclusions(task, agents, role)
    max_assigned = max((agent.total_assigned for agent in agents), default=0)
    candidates = tuple(
        Candidate(agent.name, None, excluded=reason)
        if (reason := reasons[agent.name])
        else score(task, agent, max_assigned, scoring, role)
        for agent in sorted(agents, key=lambda a: a.name)
    )
    return _pick_best(task, agents, candidates, scoring, now, role)


def _pick_best(
    task: Task,
    agents: Sequence[Agent],
    candidates: tuple[Candidate, ...],
    scoring: Scoring,
    now: datetime,
    role: Role,
) -> AssignmentDecision:
    """The best candidate."""
    eligible = [c for c in candidates if c.score is not None]
    if not eligible:
        is_unassignable = not any(
            missing_requirement(task, a, role) is None and (not a.unavailable_reason or a.availability.until)
            for a in agents
        )
        return AssignmentDecision(None, _no_agent_reason(candidates), candidates, now, role, is_unassignable)
    # With `least-busy`, fairness is not part of the score but breaks ties.
    assigned_counts = {a.name: a.total_assigned for a in agents} if scoring.policy == "least-busy" else {}
    ranked = nsmallest(2, eligible, key=lambda c: (-(c.score or 0.0), assigned_counts.get(c.agent, 0), c.agent))
    return AssignmentDecision(
        ranked[0].agent, _choice_reason(*ranked, assigned_counts=assigned_counts), candidates, now, role
    )


def _no_agent_reason(candidates: Sequence[Candidate]) -> str:
    if not candidates:
        return "no agent is configured"
    return "no agent is free: " + "; ".join(f"{candidate.agent} {candidate.excluded}" for candidate in candidates)


def _choice_reason(best: Candidate, runner_up: Candidate | None = None, *, assigned_counts: Mapping[str, int]) -> str:
    if runner_up is None:
        return f"{best.agent} is the only agent that can take it now"
    if runner_up.score != best.score:
        return f"{best.agent} scores {best.score:.3f}, ahead of {runner_up.agent} with {runner_up.score:.3f}"
    tie = f"{best.agent} and {runner_up.agent} both score {best.score:.3f}"
    if assigned_counts and assigned_counts[best.agent] != assigned_counts[runner_up.agent]:
        return f"{tie}; {best.agent} has had fewer tasks"
    return f"{tie}; {best.agent} comes first by name"


def choice_payload(choice: AssignmentDecision) -> dict[str, Any]:
    """A choice as the audit log stores it, so that it can be explained later."""
    return {
        "reason": choice.reason,
        "candidates": [
            {"agent": candidate.agent, "excluded": one_line(candidate.excluded, _MAX_REASON_LENGTH)}
            if candidate.excluded
            else {
                "agent": candidate.agent,
                "score": candidate.score,
                "parts": {part: round(value, 6) for part, value in candidate.parts.items()},
            }
            for candidate in choice.candidates
        ],
    }


def choice_from_event(event: Event) -> AssignmentDecision | None:
    """The choice stored in a payload of the audit log; None if no agent was chosen by score."""
    if "candidates" not in event.payload:
        return None
    candidates = tuple(
        Candidate(candidate["agent"], candidate.get("score"), candidate.get("parts", {}), candidate.get("excluded"))
        for candidate in event.payload["candidates"]
    )
    role = Role.REVIEW if event.type is EventType.REVIEW_ASSIGNED else Role(event.payload.get("role", Role.IMPLEMENT))
    return AssignmentDecision(event.agent, event.payload["reason"], candidates, event.occurred_at, role)


def without_failures(choice: AssignmentDecision) -> AssignmentDecision:
    """The choice without failures, for a dry run."""
    return (
        replace(choice, agent=None, reason=f"dry run: the bot would choose {choice.agent}") if choice.agent else choice
    )


class AssignmentPass:
    """One pass over the queue: each choice counts against the load that the next one sees."""

    def __init__(self, agents: Iterable[Agent], scoring: Scoring, now: datetime, plan: str = "none") -> None:
        """`agents` with their load at the start; `plan` (none | agent) says who plans."""
        self._agents = {agent.name: agent for agent in sorted(agents, key=lambda a: a.name)}
        self._scoring = scoring
        self._now = now
        self._plan = plan
        self._failed_choices: dict[object, AssignmentDecision] = {}  # by equivalence key, until a load changes
        self._candidate_cache: dict[
            object, dict[str, tuple[Agent, int, Candidate]]
        ] = {}  # by equivalence key, then agent
        self._max_assigned = max((agent.total_assigned for agent in self._agents.values()), default=0)

    @property
    def available_agents(self) -> list[Agent]:
        """The agents that can take more work."""
        return [agent for agent in self._agents.values() if not busy_reason(agent)]

    def choose(self, task: Task) -> AssignmentDecision:
        """The choice for the next task in the queue: what `choose` returns for the current load."""
        choice = self.preview_choice(task)
        self.record_choice(choice)
        return choice

    def record_choice(self, choice: AssignmentDecision) -> None:
        """Record a choice: the agent holds one more task."""
        if choice.agent is None:
            return
        agent = self._agents[choice.agent]
        self._agents[choice.agent] = replace(
            agent, active_tasks=agent.active_tasks + 1, total_assigned=agent.total_assigned + 1
        )
        self._max_assigned = max(self._max_assigned, agent.total_assigned + 1)
        self._failed_choices.clear()

    def preview_choice(self, task: Task) -> AssignmentDecision:
        """What would be chosen for a task that no agent has yet.

        With 200 agents and 10,000 tasks most tasks find no agent, for the same reasons as tasks before them. Those are
        not evaluated again.
        """
        agents = tuple(self._agents.values())
        role = next_role(task, agents, self._plan)
        key = _exclusion_key(task, role)
        if cached := self._failed_choices.get(key):
            return cached
        if task.history or role is not Role.IMPLEMENT:
            choice = choose_agent(task, agents, self._scoring, self._now, role)
        else:
            choice = _pick_best(task, agents, self._candidates(task), self._scoring, self._now, role)
        if choice.agent is None:
            self._failed_choices[key] = choice
        return choice

    def _candidates(self, task: Task) -> tuple[Candidate, ...]:
        """The candidates for a task without history; each depends on its own agent only, and is cached while that is
        unchanged.

        So a choice evaluates only the agent that was chosen last again, not two hundred.
        """
        cache = self._candidate_cache.setdefault((task.required_capabilities, task.priority, task.intake.preferred), {})
        candidates = []
        for name, agent in self._agents.items():
            cached = cache.get(name)
            if cached is None or cached[0] is not agent or cached[1] != self._max_assigned:
                reason = missing_requirement(task, agent) or busy_reason(agent)
                candidate = (
                    Candidate(name, None, excluded=reason)
                    if reason
                    else score(task, agent, self._max_assigned, self._scoring)
                )
                cache[name] = cached = (agent, self._max_assigned, candidate)
            candidates.append(cached[2])
        return tuple(candidates)


def _exclusion_key(task: Task, role: Role) -> object:
    """Everything about a task that `exclusions` reads: tasks with an equal key are refused by the same agents."""
    history = tuple(
        (attempt.number, attempt.worker, attempt.role, attempt.outcome, attempt.counts_against_agent, attempt.pull)
        for attempt in task.counted_attempts
    )
    under_review = (task.pull and task.pull.number, task.lease and task.lease.worker) if role is Role.REVIEW else None
    return role, task.required_capabilities, history, under_review


def assign(
    queue: Iterable[Task], agents: Iterable[Agent], scoring: Scoring, now: datetime, plan: str = "none"
) -> list[AssignmentDecision]:
    """One choice per task of the queue, in queue order; a task in review is in the queue for a reviewer."""
    assignment_pass = AssignmentPass(agents, scoring, now, plan)
    return [assignment_pass.choose(task) for task in queue]
