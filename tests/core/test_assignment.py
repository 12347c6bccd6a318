"""Which agent gets which task, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.repository import Scoring
from core.assignment.queue import sort_queue
from core.assignment.rules import (
    Agent,
    assign,
    choose_agent,
    exclusions,
    missing_requirement,
    preference_match,
    repeated_failure,
    score,
)
from core.task.model import Attempt, Priority, Task
from tests.builders import NOW, Story, agent
from tests.suite import examples

EVEN = Scoring()


def task(number: int = 1, priority: str = "P2", *needs: str, preferred: tuple[str, ...] = (), **changes: Any) -> Task:
    known = Story().file_ready_task().task
    intake = replace(known.intake, preferred=preferred)
    return replace(
        known, number=number, priority=Priority(priority), required_capabilities=needs, intake=intake, **changes
    )


def attempt(number: int, who: str, outcome: str = "failed", *, blamed: bool = True) -> Attempt:
    return Attempt(number, who, NOW, NOW, outcome, "because", f"task/1-{number}", blamed)


def chosen(task: Task, *agents: Agent, rules: Scoring = EVEN) -> str | None:
    return choose_agent(task, agents, rules, NOW).agent


class TestWhoMayHaveIt:
    def test_an_agent_needs_every_required_capability(self) -> None:
        known = task(1, "P2", "python", "docs")
        assert missing_requirement(known, agent("codex", "python")) == "lacks docs"
        assert missing_requirement(known, agent("codex")) == "lacks docs, python"
        assert missing_requirement(known, agent("claude", "python", "docs", "more")) is None

    def test_a_reviewer_implements_nothing(self) -> None:
        assert missing_requirement(task(), agent("critic", roles=frozenset({"review", "plan"}))) == "does not implement"

    def test_an_agent_at_its_limit_and_one_that_cannot_start_are_left_out_with_the_reason(self) -> None:
        agents = [agent("a", max_tasks=2, active_tasks=2), agent("b", unavailable_reason="is draining"), agent("c")]
        assert exclusions(task(), agents) == {"a": "is at its limit of 2", "b": "is draining", "c": None}

    @pytest.mark.parametrize(
        ("history", "reason"),
        [
            ([], None),
            ([attempt(1, "codex")], None),
            ([attempt(1, "codex"), attempt(2, "codex")], "two failed attempts in a row"),
            ([attempt(1, "codex"), attempt(2, "claude"), attempt(3, "codex")], None),
            ([attempt(1, "codex", "silent")], "stopped responding in attempt 1"),
            ([attempt(1, "codex", "silent"), attempt(2, "claude")], None),
            ([attempt(1, "codex"), attempt(2, "codex", "released", blamed=False)], None),
            (
                [attempt(1, "codex"), attempt(2, "codex", blamed=False), attempt(3, "codex")],
                "two failed attempts in a row",
            ),
        ],
    )  # fmt: skip
    def test_failures_that_send_the_task_to_another_agent(self, history: list[Attempt], reason: str | None) -> None:
        assert repeated_failure(task(history=tuple(history)), "codex") == reason

    def test_retry_wipes_the_slate(self) -> None:
        assert repeated_failure(task(history=(attempt(1, "codex", "silent"),), retry_offset=1), "codex") is None

    def test_a_silent_agent_waits_for_another_one_that_is_only_busy(self) -> None:
        known = task(history=(attempt(1, "codex", "silent"),))
        assert chosen(known, agent("codex"), agent("claude", active_tasks=1)) is None
        assert chosen(known, agent("codex"), agent("claude")) == "claude"

    @pytest.mark.parametrize(
        "other",
        [
            agent("claude", unavailable_reason="cannot be started"),
            agent("claude", roles=frozenset({"plan"})),
        ],
    )
    def test_the_failed_agent_is_better_than_none(self, other: Agent) -> None:
        known = task(history=(attempt(1, "codex", "silent"),))
        assert chosen(known, agent("codex"), other) == "codex"
        assert chosen(known, agent("codex")) == "codex"

    def test_when_all_have_failed_all_may_try_again(self) -> None:
        known = task(history=(attempt(1, "a", "silent"), attempt(2, "b", "silent")))
        assert exclusions(known, [agent("a"), agent("b")]) == {"a": None, "b": "stopped responding in attempt 2"}


class TestTheScore:
    def test_its_parts_are_those_of_the_specification(self) -> None:
        known = task(1, "P1", "python", preferred=("docs", "web"))
        helper = agent("claude", "python", "docs", max_tasks=4, active_tasks=1, total_assigned=3)
        candidate = score(known, helper, max_assigned=4, scoring=EVEN)
        assert candidate.parts == pytest.approx(
            {"priority": 0.25, "capability": 0.15, "load": 0.1125, "fairness": 0.0125}
        )
        assert candidate.score == pytest.approx(0.525)  # fmt: skip

    @pytest.mark.parametrize(
        ("preferred", "prefers", "needs", "match"),
        [
            ((), (), (), 1.0),
            (("docs",), (), (), 0.0),
            (("docs",), ("docs",), (), 1.0),
            (("docs", "web"), ("docs",), (), 0.5),
            ((), ("backend",), ("backend",), 1.0),
            ((), ("backend",), ("tests",), 0.5),
            ((), ("backend",), (), 1.0),
        ],
    )
    def test_the_match_of_wishes(self, preferred: Any, prefers: Any, needs: Any, match: float) -> None:
        helper = agent("a", *needs, prefers=frozenset(prefers))
        assert preference_match(task(1, "P2", *needs, preferred=preferred), helper) == match

    def test_the_freer_agent_wins_then_the_one_that_had_less_then_the_name(self) -> None:
        assert chosen(task(), agent("a", max_tasks=2, active_tasks=1), agent("b", max_tasks=2)) == "b"
        assert chosen(task(), agent("a", total_assigned=5), agent("b", total_assigned=4)) == "b"
        assert chosen(task(), agent("b"), agent("a")) == "a"

    def test_who_failed_knows_the_branch_whatever_the_weights(self) -> None:
        known = task(history=(attempt(1, "codex"),), preferred=("docs",))
        rivals = agent("claude", "docs", max_tasks=9), agent("codex", max_tasks=9, active_tasks=8, total_assigned=9)
        assert chosen(known, *rivals) == "codex"
        assert chosen(known, *rivals, rules=Scoring(priority=1.0, capability=1.0, load=1.0, fairness=1.0)) == "codex"

    def test_who_was_released_from_it_has_no_advantage(self) -> None:
        known = task(history=(attempt(1, "codex", "released", blamed=False),), preferred=("docs",))
        assert chosen(known, agent("claude", "docs"), agent("codex")) == "claude"


class TestTheExplanation:
    def test_the_only_one(self) -> None:
        choice = choose_agent(task(1, "P2", "python"), [agent("codex", "python"), agent("claude")], EVEN, NOW)
        assert (choice.agent, choice.reason) == ("codex", "codex is the only agent that can take it now")
        assert [(c.agent, c.excluded) for c in choice.candidates] == [("claude", "lacks python"), ("codex", None)]

    def test_the_better_one(self) -> None:
        choice = choose_agent(task(), [agent("a", max_tasks=2, active_tasks=1), agent("b")], EVEN, NOW)
        assert choice.reason == "b scores 0.500, ahead of a with 0.425"

    def test_a_tie(self) -> None:
        assert (
            choose_agent(task(), [agent("b"), agent("a")], EVEN, NOW).reason
            == "a and b both score 0.500; a comes first by name"
        )

    def test_no_agent_is_eligible(self) -> None:
        choice = choose_agent(
            task(), [agent("a", active_tasks=1), agent("b", unavailable_reason="is draining")], EVEN, NOW
        )
        assert choice.agent is None
        assert choice.reason == "no agent is free: a is at its limit of 1; b is draining"
        assert choose_agent(task(), [], EVEN, NOW).reason == "no agent is configured"


class TestTheWholeQueue:
    def test_each_choice_counts_for_the_next(self) -> None:
        queue = [task(1), task(2), task(3), task(4)]
        choices = assign(queue, [agent("a", max_tasks=2), agent("b")], EVEN, NOW)
        assert [c.agent for c in choices] == ["a", "b", "a", None]

    def test_a_task_without_an_eligible_agent_delays_no_other(self) -> None:
        queue = [task(1, "P0", "cobol"), task(2, "P1")]
        assert [c.agent for c in assign(queue, [agent("a")], EVEN, NOW)] == [None, "a"]

    @settings(examples(150), derandomize=True)
    @given(
        st.lists(st.tuples(st.sampled_from(["P0", "P1", "P2"]), st.sets(st.sampled_from("xyz"))), max_size=7),
        st.lists(st.tuples(st.sets(st.sampled_from("xyz")), st.integers(1, 3), st.integers(0, 2)), max_size=4),
    )
    def test_no_p1_passes_a_p0_and_no_agent_exceeds_its_limit(self, tasks: Any, agents: Any) -> None:
        queue = sort_queue(
            [
                replace(task(n, priority, *sorted(needs)), created_at=NOW + timedelta(hours=n))
                for n, (priority, needs) in enumerate(tasks)
            ],
            {},
        )
        team = [
            agent(f"a{n}", *can, max_tasks=most, active_tasks=min(most, holds))
            for n, (can, most, holds) in enumerate(agents)
        ]
        choices = assign(queue, team, EVEN, NOW)
        assert choices == assign(queue, list(reversed(team)), EVEN, NOW), "the order of the agents does not matter"
        for hand in team:
            mine = [t for t, c in zip(queue, choices, strict=True) if c.agent == hand.name]
            assert len(mine) + hand.active_tasks <= hand.max_tasks
            for passed in (t for t, c in zip(queue, choices, strict=True) if c.agent is None):
                if exclusions(passed, team)[hand.name] is None:
                    assert all(t.priority.rank <= passed.priority.rank for t in mine)
