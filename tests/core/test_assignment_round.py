"""A whole round of assignment: it spares work and changes no answer; policies; and what is told of a choice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.repository import Scoring
from core.assignment.rules import Agent, AssignmentPass, assign, choice_payload, choose_agent, next_role
from core.audit.events import EventType
from core.signals.base import Assigned
from core.task.model import AssignmentDecision, Priority, Role, Status, Task
from tests.builders import NOW, Story, agent
from tests.core.test_assignment import attempt, task
from tests.suite import examples

REVIEWED = Story().file_ready_task().reach_review().task
assert REVIEWED.lease
LEASE = REVIEWED.lease
RULES = (Scoring(), Scoring(learned=0.5), Scoring(policy="least-busy"))


def plainly(queue: list[Task], team: list[Agent], rules: Scoring, plan: str) -> list[AssignmentDecision]:
    """The same without sparing anything: each task asks the whole rule."""
    hands = {helper.name: helper for helper in team}
    choices = []
    for one in queue:
        there = list(hands.values())
        choice = choose_agent(one, there, rules, NOW, next_role(one, there, plan))
        if choice.agent:
            taken = hands[choice.agent]
            hands[choice.agent] = replace(
                taken, active_tasks=taken.active_tasks + 1, total_assigned=taken.total_assigned + 1
            )
        choices.append(choice)
    return choices


needs = st.sets(st.sampled_from("xyz"), max_size=2)
histories = st.lists(
    st.tuples(
        st.sampled_from(["a0", "a1", "a2"]), st.sampled_from(["failed", "silent"]), st.sampled_from([None, 7, 8])
    ),
    max_size=3,
)
parts = st.sampled_from([Role.IMPLEMENT, Role.IMPLEMENT, Role.PLAN, Role.REVIEW])
tasks = st.lists(
    st.tuples(st.sampled_from(list(Priority)), needs, needs, histories, parts, st.sampled_from(["a0", "codex"])),
    max_size=12,
)
teams = st.lists(
    st.tuples(
        st.sets(st.sampled_from("xyz")),
        st.sets(st.sampled_from(["plan", "implement", "review"]), min_size=1).map(frozenset),
        st.integers(1, 3),
        st.integers(0, 3),
        st.integers(0, 5),
        st.sampled_from([None, None, None, "is draining"]),
    ),
    max_size=5,
)


@settings(examples(200), derandomize=True)
@given(tasks, teams, st.sampled_from(RULES), st.sampled_from(["none", "agent"]))
def test_a_round_gives_what_asking_for_each_task_gives(drawn: Any, helpers: Any, rules: Scoring, plan: str) -> None:
    queue = []
    for number, (priority, required, wished, history, part, holder) in enumerate(drawn, 1):
        attempts = tuple(
            replace(attempt(n, who, outcome), pull=pull, role=part) for n, (who, outcome, pull) in enumerate(history, 1)
        )
        one = task(number, priority, *sorted(required), preferred=tuple(sorted(wished)), history=attempts)
        if part is Role.REVIEW:
            one = replace(one, status=Status.REVIEW, pull=REVIEWED.pull, lease=replace(LEASE, agent=holder))
        queue.append(one)
    team = [
        agent(
            f"a{n}",
            *can,
            roles=roles,
            max_tasks=most,
            active_tasks=min(most, holds),
            total_assigned=had,
            unavailable_reason=out,
        )
        for n, (can, roles, most, holds, had, out) in enumerate(helpers)
    ]
    assert assign(queue, team, rules, NOW, plan) == plainly(queue, team, rules, plan)


@settings(examples(100), derandomize=True)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 5), st.sampled_from(RULES))
def test_an_agent_gets_several_independent_tasks_up_to_its_limit(
    count: int, most: int, holds: int, rules: Scoring
) -> None:
    queue = [task(n, "P1") for n in range(count)]
    choices = assign(queue, [agent("codex", max_tasks=most, active_tasks=min(most, holds))], rules, NOW)
    given_out = min(count, most - min(most, holds))
    assert [c.agent for c in choices] == ["codex"] * given_out + [None] * (count - given_out)
    assert {c.reason for c in choices[given_out:]} <= {f"no agent is free: codex is at its limit of {most}"}


@settings(examples(60), derandomize=True)
@given(st.integers(1, 30), st.integers(1, 6), st.sampled_from(RULES))
def test_equal_agents_have_equal_work(count: int, helpers: int, rules: Scoring) -> None:
    team = [agent(f"a{n}", max_tasks=9) for n in range(helpers)]
    choices = assign([task(n) for n in range(count)], team, rules, NOW)
    work = [sum(c.agent == helper.name for c in choices) for helper in team]
    assert max(work) - min(work) <= 1


def test_a_round_knows_who_takes_more() -> None:
    round_ = AssignmentPass(
        [agent("b"), agent("a", max_tasks=2), agent("c", unavailable_reason="is draining")], Scoring(), NOW
    )
    assert [a.name for a in round_.available_agents] == ["a", "b"]
    assert [round_.choose(task(n)).agent for n in (1, 2)] == ["a", "b"]
    assert [(a.name, a.active_tasks) for a in round_.available_agents] == [("a", 1)]


class TestLeastBusy:
    RULES = Scoring(policy="least-busy")

    def chosen(self, *agents: Agent, known: Task | None = None) -> AssignmentDecision:
        return choose_agent(known or task(), agents, self.RULES, NOW)

    def test_the_share_of_the_limit_counts_and_no_wish(self) -> None:
        wishing = task(preferred=("docs",))
        choice = self.chosen(
            agent("a", "docs", max_tasks=2, active_tasks=1), agent("b", max_tasks=3, active_tasks=1), known=wishing
        )
        assert (choice.agent, choice.reason) == ("b", "b scores 0.667, ahead of a with 0.500")

    def test_then_who_had_fewer_tasks_then_the_name(self) -> None:
        choice = self.chosen(agent("a", total_assigned=3), agent("b", total_assigned=2))
        assert (choice.agent, choice.reason) == ("b", "b and a both score 1.000; b has had fewer tasks")
        assert self.chosen(agent("b"), agent("a")).reason == "a and b both score 1.000; a comes first by name"

    def test_who_failed_knows_the_branch_here_too(self) -> None:
        known = task(history=(attempt(1, "codex"),))
        assert self.chosen(agent("claude"), agent("codex", max_tasks=9, active_tasks=8), known=known).agent == "codex"


class TestWhatIsTold:
    def test_the_trail_has_every_candidate_with_its_score_or_the_reason(self) -> None:
        team = (agent("codex", "python"), agent("claude"), agent("cursor", "python", active_tasks=1))
        story = Story().file_ready_task()
        choice = choose_agent(replace(story.task, required_capabilities=("python",)), team, Scoring(), NOW)
        story.apply(Assigned(choice))
        [event] = [e for e in story.last_decision.events if e.type is EventType.TASK_ASSIGNED]
        assert dict(event.payload) == {
            "role": "implement",
            "reason": "codex is the only agent that can take it now",
            "candidates": [
                {"agent": "claude", "excluded": "lacks python"},
                {
                    "agent": "codex",
                    "score": 0.5,
                    "parts": {"priority": 0.0, "capability": 0.3, "load": 0.15, "fairness": 0.05},
                },
                {"agent": "cursor", "excluded": "is at its limit of 1"},
            ],
        }

    def test_it_is_bounded(self) -> None:
        team = [agent(f"agent-{n}", unavailable_reason="x" * 5000) for n in range(100)]
        assert len(json.dumps(choice_payload(choose_agent(task(), team, Scoring(), NOW))["candidates"])) < 30_000


@pytest.mark.parametrize("learned", [0.0, 1.0])
def test_learned_weight_counts_only_where_it_is_set(learned: float) -> None:
    candidates = choose_agent(
        task(), [agent("a", performance=0.2), agent("b", performance=0.9)], Scoring(learned=learned), NOW
    ).candidates
    assert [c.parts.get("learned") for c in candidates] == ([0.2, 0.9] if learned else [None, None])
