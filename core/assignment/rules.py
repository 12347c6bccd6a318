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
    holding: int = 0  # tasks it holds
    assigned: int = 0  # tasks it ever received: the measure of fairness
    unavailable: str | None = None  # why it takes no work (offline, draining, …)
    condition: AgentAvailability = AVAILABLE
    merit: float = 0.5  # success of its latest attempts, 0…1 (`core.assignment.stats.merits`); 0.5 if unknown


# The priority's part of the score is the same for all candidates of a task. It makes scores of different tasks
# comparable in the explanation. Three classes, evenly spaced.
_PRIORITY_PART = {Priority.P0: 1.0, Priority.P1: 0.5, Priority.P2: 0.0}
_REASON_LIMIT = 200  # characters of an exclusion in the audit log; there are at most 100 agents


def part_of(task: Task, agents: Sequence[Agent], plan: str) -> Role:
    """The next role to assign for a task. `plan` (none | agent) says who plans.

    A plan is made once, before the implementation. If no agent can plan, or planning failed, the task continues without
    a plan: a plan helps, but is never a reason to wait for ever.
    """
    if task.status is Status.REVIEW:
        return Role.REVIEW
    wanted = plan == "agent" and task.plan is None and task.failed_plan is None
    return Role.PLAN if wanted and any("plan" in a.roles and not a.unavailable for a in agents) else Role.IMPLEMENT


def missing_requirement(task: Task, agent: Agent, role: Role = Role.IMPLEMENT) -> str | None:
    """Why this agent can never have this role in the task, however long the task waits; None if it can.

    Required capabilities are required of the implementer. Planners and reviewers need not have them, but are scored by
    them.
    """
    if role.value not in agent.roles:
        return f"does not {role}"
    if role is Role.REVIEW:
        return "wrote the pull request" if agent.name in _authors(task) else _reviewed_in_vain(task, agent.name)
    if role is not Role.IMPLEMENT or agent.capabilities.issuperset(task.required):
        return None
    return f"lacks {', '.join(sorted(set(task.required) - agent.capabilities))}"


def _authors(task: Task) -> frozenset[str]:
    """The agents that worked on the pull request: its holder and all earlier holders."""
    number = task.pull.number if task.pull else None
    earlier = [a.worker for a in task.work if a.pull is not None and a.pull == number]
    return frozenset(filter(None, (*earlier, task.lease.worker if task.lease else None)))


def _reviewed_in_vain(task: Task, name: str) -> str | None:
    number = task.pull.number if task.pull else None
    for attempt in task.counted:
        in_vain = attempt.role is Role.REVIEW and attempt.outcome in ("failed", "silent", "stalled")
        if in_vain and attempt.agent == name and attempt.pull == number:
            return f"gave no verdict on attempt {attempt.number}"
    return None


def busy(agent: Agent) -> str | None:
    """Why this agent takes no work now; None if it does."""
    if agent.unavailable:
        return agent.unavailable
    if agent.condition.on_trial and agent.holding:
        return "failed before and already has one task as a test"
    if agent.holding >= agent.max_tasks:
        return f"is at its limit of {agent.max_tasks}"
    return None


def failed_before(task: Task, name: str) -> str | None:
    """Why another agent should get the task: two failed attempts in a row, or one silent or stalled; else None."""
    in_a_row = 0
    for attempt in reversed(task.work):
        if attempt.worker != name:
            break
        if attempt.outcome == "silent":
            return f"stopped responding in attempt {attempt.number}"
        if attempt.outcome == "stalled":
            return f"made no progress in attempt {attempt.number}"
        in_a_row += attempt.blamed
    return "two failed attempts in a row" if in_a_row >= 2 else None


def exclusions(task: Task, agents: Sequence[Agent], role: Role = Role.IMPLEMENT) -> dict[str, str | None]:
    """For each agent, why it may not have this role in the task now, or None.

    Earlier failures exclude an agent only while another agent could do the task, now or when it has capacity: the same
    agent is better than no agent.
    """
    never = {agent.name: missing_requirement(task, agent, role) for agent in agents}
    names = {attempt.worker for attempt in task.work if attempt.worker} if role is Role.IMPLEMENT else ()
    failed = {name: why for name in names if (why := failed_before(task, name))}
    fresh = {a.name for a in agents if not (never[a.name] or a.unavailable or a.name in failed)}
    return {a.name: never[a.name] or (failed.get(a.name) if fresh - {a.name} else None) or busy(a) for a in agents}


def preferred_match(task: Task, agent: Agent, role: Role = Role.IMPLEMENT) -> float:
    """Share of the task's preferred capabilities that the agent has, 0…1.

    A task without preferred capabilities is matched by what the agent itself prefers among the required ones, and
    otherwise matches every agent perfectly. For planners and reviewers, the required capabilities count as preferred.
    """
    wishes = set(task.intake.preferred) | (set() if role is Role.IMPLEMENT else set(task.required))
    if wishes:
        return len(wishes & (agent.capabilities | agent.prefers)) / len(wishes)
    if agent.prefers and task.required:
        return 1.0 if agent.prefers & set(task.required) else 0.5
    return 1.0


def score(task: Task, agent: Agent, assigned_most: int, rules: Scoring, role: Role = Role.IMPLEMENT) -> Candidate:
    """The agent's score for the task, with its parts (already weighted)."""
    room = 1 - agent.holding / agent.max_tasks
    if rules.policy == "least-busy":
        parts = {"load": room}
    else:
        parts = {
            "priority": rules.priority * _PRIORITY_PART[task.priority],
            "capability": rules.capability * preferred_match(task, agent, role),
            "load": rules.load * room,
            "fairness": rules.fairness * (1 - agent.assigned / assigned_most if assigned_most else 1.0),
        }
        if rules.learned:
            parts["learned"] = rules.learned * agent.merit
    last = next((a for a in reversed(task.history) if a.role is Role.IMPLEMENT), None)
    if role is Role.IMPLEMENT and last and (last.agent, last.outcome) == (agent.name, "failed"):
        # An agent that knows the branch fixes it fastest, so this is worth as much as all other parts together. An
        # agent that failed twice in a row was excluded before, and one that a person took the task from gets no bonus.
        parts["knows the branch"] = _most(rules)
    return Candidate(agent.name, round(sum(parts.values()), 6), parts)


def _most(rules: Scoring) -> float:
    """The highest score that the other parts can add up to."""
    if rules.policy == "least-busy":
        return 1.0
    return rules.priority + rules.capability + rules.load + rules.fairness + rules.learned


def choose(
    task: Task, agents: Sequence[Agent], rules: Scoring, now: datetime, role: Role = Role.IMPLEMENT
) -> AssignmentDecision:
    """Choose the agent for one role in a task, with the complete table of candidates."""
    reasons = exclusions(task, agents, role)
    assigned_most = max((agent.assigned for agent in agents), default=0)
    candidates = tuple(
        Candidate(agent.name, None, excluded=why)
        if (why := reasons[agent.name])
        else score(task, agent, assigned_most, rules, role)
        for agent in sorted(agents, key=lambda a: a.name)
    )
    return _pick(task, agents, candidates, rules, now, role)


def _pick(
    task: Task,
    agents: Sequence[Agent],
    candidates: tuple[Candidate, ...],
    rules: Scoring,
    now: datetime,
    role: Role,
) -> AssignmentDecision:
    """The best candidate."""
    able = [c for c in candidates if c.score is not None]
    if not able:
        hopeless = not any(
            missing_requirement(task, a, role) is None and (not a.unavailable or a.condition.until) for a in agents
        )
        return AssignmentDecision(None, _nobody(candidates), candidates, now, role, hopeless)
    # With `least-busy`, fairness is not part of the score but breaks ties.
    turns = {a.name: a.assigned for a in agents} if rules.policy == "least-busy" else {}
    ranked = nsmallest(2, able, key=lambda c: (-(c.score or 0.0), turns.get(c.agent, 0), c.agent))
    return AssignmentDecision(ranked[0].agent, _why(*ranked, turns=turns), candidates, now, role)


def _nobody(candidates: Sequence[Candidate]) -> str:
    if not candidates:
        return "no agent is configured"
    return "no agent is free: " + "; ".join(f"{c.agent} {c.excluded}" for c in candidates)


def _why(best: Candidate, runner_up: Candidate | None = None, *, turns: Mapping[str, int]) -> str:
    if runner_up is None:
        return f"{best.agent} is the only agent that can take it now"
    if runner_up.score != best.score:
        return f"{best.agent} scores {best.score:.3f}, ahead of {runner_up.agent} with {runner_up.score:.3f}"
    alike = f"{best.agent} and {runner_up.agent} both score {best.score:.3f}"
    if turns and turns[best.agent] != turns[runner_up.agent]:
        return f"{alike}; {best.agent} has had fewer tasks"
    return f"{alike}; {best.agent} comes first by name"


def choice_payload(choice: AssignmentDecision) -> dict[str, Any]:
    """A choice as the audit log stores it, so that it can be explained later."""
    return {
        "reason": choice.reason,
        "candidates": [
            {"agent": c.agent, "excluded": one_line(c.excluded, _REASON_LIMIT)}
            if c.excluded
            else {"agent": c.agent, "score": c.score, "parts": {part: round(v, 6) for part, v in c.parts.items()}}
            for c in choice.candidates
        ],
    }


def choice_from_event(event: Event) -> AssignmentDecision | None:
    """The choice stored in a payload of the audit log; None if no agent was chosen by score."""
    if "candidates" not in event.payload:
        return None
    candidates = tuple(
        Candidate(one["agent"], one.get("score"), one.get("parts", {}), one.get("excluded"))
        for one in event.payload["candidates"]
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

    def __init__(self, agents: Iterable[Agent], rules: Scoring, now: datetime, plan: str = "none") -> None:
        """`agents` with their load at the start; `plan` (none | agent) says who plans."""
        self._hands = {agent.name: agent for agent in sorted(agents, key=lambda a: a.name)}
        self._rules = rules
        self._now = now
        self._plan = plan
        self._in_vain: dict[object, AssignmentDecision] = {}  # by equivalence key, until a load changes
        self._seen: dict[object, dict[str, tuple[Agent, int, Candidate]]] = {}  # by equivalence key, then agent
        self._most = max((agent.assigned for agent in self._hands.values()), default=0)

    @property
    def free(self) -> list[Agent]:
        """The agents that can take more work."""
        return [agent for agent in self._hands.values() if not busy(agent)]

    def choose(self, task: Task) -> AssignmentDecision:
        """The choice for the next task in the queue: what `choose` returns for the current load."""
        choice = self.consider(task)
        self.take(choice)
        return choice

    def take(self, choice: AssignmentDecision) -> None:
        """Record a choice: the agent holds one more task."""
        if choice.agent is None:
            return
        taken = self._hands[choice.agent]
        self._hands[choice.agent] = replace(taken, holding=taken.holding + 1, assigned=taken.assigned + 1)
        self._most = max(self._most, taken.assigned + 1)
        self._in_vain.clear()

    def consider(self, task: Task) -> AssignmentDecision:
        """What would be chosen for a task that no agent has yet.

        With 200 agents and 10,000 tasks most tasks find no agent, for the same reasons as tasks before them. Those are
        not evaluated again.
        """
        agents = tuple(self._hands.values())
        role = part_of(task, agents, self._plan)
        alike = _alike(task, role)
        if found := self._in_vain.get(alike):
            return found
        if task.history or role is not Role.IMPLEMENT:
            choice = choose(task, agents, self._rules, self._now, role)
        else:
            choice = _pick(task, agents, self._candidates(task), self._rules, self._now, role)
        if choice.agent is None:
            self._in_vain[alike] = choice
        return choice

    def _candidates(self, task: Task) -> tuple[Candidate, ...]:
        """The candidates for a task without history; each depends on its own agent only, and is cached while that is
        unchanged.

        So a choice evaluates only the agent that was chosen last again, not two hundred.
        """
        seen = self._seen.setdefault((task.required, task.priority, task.intake.preferred), {})
        found = []
        for name, agent in self._hands.items():
            known = seen.get(name)
            if known is None or known[0] is not agent or known[1] != self._most:
                why = missing_requirement(task, agent) or busy(agent)
                fresh = Candidate(name, None, excluded=why) if why else score(task, agent, self._most, self._rules)
                seen[name] = known = (agent, self._most, fresh)
            found.append(known[2])
        return tuple(found)


def _alike(task: Task, role: Role) -> object:
    """Everything about a task that `exclusions` reads: tasks with an equal key are refused by the same agents."""
    history = tuple((a.number, a.worker, a.role, a.outcome, a.blamed, a.pull) for a in task.counted)
    under_review = (task.pull and task.pull.number, task.lease and task.lease.worker) if role is Role.REVIEW else None
    return role, task.required, history, under_review


def assign(
    queue: Iterable[Task], agents: Iterable[Agent], rules: Scoring, now: datetime, plan: str = "none"
) -> list[AssignmentDecision]:
    """One choice per task of the queue, in queue order; a task in review is in the queue for a reviewer."""
    round_ = AssignmentPass(agents, rules, now, plan)
    return [round_.choose(task) for task in queue]
