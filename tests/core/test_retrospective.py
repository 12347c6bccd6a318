"""Retrospectives: figures from a made-up trail, what is found in them, and what becomes of their issue."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.audit.events import Event, EventType
from core.retro.findings import MAX_ACTIONS, ActionItem, make_findings
from core.retro.metrics import TaskMetrics, agent_metrics, task_metrics
from core.retro.model import Retrospective, RetrospectiveInput, build_retrospective, parse_since
from tests.builders import NOW

T = EventType


class Trail:
    """A made-up trail of one task; each line comes some minutes after the one before."""

    def __init__(self, number: int, title: str = "Sell apples", at: datetime = NOW) -> None:
        self.number, self.at = number, at
        self.agent: str | None = None
        self.attempt = 0
        self.lines: list[Event] = []
        self.tell(T.TASK_CREATED, title=title)

    def tell(self, type_: EventType, minutes: float = 0, **payload: Any) -> Trail:
        self.at += timedelta(minutes=minutes)
        self.lines.append(Event(type_, self.number, self.at, self.agent, self.attempt or None, None, payload))
        return self

    def ready(self, minutes: float = 1) -> Trail:
        return self.tell(T.TASK_READY, minutes)

    def goes_to(self, agent: str, minutes: float = 2, **payload: Any) -> Trail:
        again, self.agent, self.attempt = self.attempt > 0, agent, self.attempt + 1
        return self.tell(T.TASK_REASSIGNED if again else T.TASK_ASSIGNED, minutes, **{"role": "implement", **payload})

    def comes_back(self, outcome: str = "failed") -> Trail:
        return self.tell(T.TASK_SENT_BACK, 10, outcome=outcome, reason="CI failed")

    def handed_in(self, minutes: float = 30) -> Trail:
        return self.tell(T.TASK_REVIEW, minutes)

    def done(self, minutes: float = 5) -> Trail:
        return self.tell(T.TASK_COMPLETED, minutes)


def smooth(number: int, agent: str = "codex", at: datetime = NOW) -> Trail:
    return Trail(number, at=at).ready().goes_to(agent).handed_in().done()


def reworked() -> Trail:
    return (
        Trail(4, "Sell @pears | now")
        .ready()
        .goes_to("codex")
        .handed_in()
        .comes_back()
        .goes_to("codex")
        .handed_in()
        .done()
    )


def lost_and_met() -> Trail:
    trail = Trail(7, "Weigh them").ready(5).goes_to("codex").comes_back("silent").tell(T.AGENT_FAILED)
    trail.tell(T.CONFLICT_DETECTED, kind="idle").goes_to("claude").handed_in()
    return trail.tell(T.CONFLICT_DETECTED, kind="branches", files=["shop/cart.py", "a`b.py"]).tell(T.ESCALATED).done()


def gathered(*trails: Trail, **more: Any) -> RetrospectiveInput:
    return RetrospectiveInput({trail.number: tuple(trail.lines) for trail in trails}, **more)


def held(*trails: Trail, **more: Any) -> Retrospective:
    found = build_retrospective(gathered(*trails, **more), "turn:0", NOW + timedelta(hours=4))
    assert found is not None
    return found


def test_the_figures_of_one_task() -> None:
    task = task_metrics(reworked().lines, "x")
    assert task is not None
    assert (task.lead_time, task.cycle_time) == (timedelta(minutes=80), timedelta(minutes=77))
    assert (task.time_to_ready, task.time_to_assign, task.review_time) == tuple(
        timedelta(minutes=m) for m in (1, 2, 47)
    )
    assert (task.attempts, task.rework, task.failovers, task.released) == (2, 1, 0, 0)
    lost = task_metrics(lost_and_met().lines)
    assert lost is not None
    assert (lost.attempts, lost.rework, lost.failovers) == (2, 0, 1)
    assert (lost.conflicts, lost.early_conflicts, lost.escalations) == (1, 0, 1), (
        "idle is told as a failure, not as a conflict"
    )
    assert lost.agents == ("codex", "claude")


def test_what_is_not_done_and_what_came_after_does_not_count() -> None:
    assert task_metrics(Trail(1).ready().goes_to("codex").lines) is None
    trail = smooth(1)
    whole = task_metrics(trail.lines)
    assert task_metrics(trail.comes_back().lines) == whole


def test_people_are_not_measured() -> None:
    trail = (
        Trail(1).ready().goes_to("alice", reason="claimed").handed_in().comes_back().goes_to("codex").handed_in().done()
    )
    assert [
        (agent.name, agent.attempts, agent.completed, agent.sent_back) for agent in agent_metrics([trail.lines])
    ] == [("codex", 1, 1, 0)]
    task = task_metrics(trail.lines)
    assert task is not None
    assert (task.attempts, task.agents) == (2, ("codex",))
    closed = task_metrics(Trail(2).ready().done().lines)
    assert closed is not None, "a user closed it: done without any attempt"
    assert (closed.attempts, closed.cycle_time) == (0, None)
    assert build_retrospective(gathered(Trail(2).ready().done()), "k", NOW) is not None


@pytest.mark.parametrize("seed", range(60))
def test_totals_add_up(seed: int) -> None:
    """Whatever happens to tasks: no attempt is lost or counted twice, between the reasons and between the agents."""
    draw = random.Random(seed)
    trails = []
    for number in range(1, draw.randint(2, 6)):
        trail = Trail(number).ready(draw.random() * 9)
        for _ in range(draw.randint(0, 5)):
            trail.goes_to(draw.choice(["codex", "claude"]), draw.random() * 9)
            if draw.random() < 0.5:
                trail.handed_in(draw.random() * 99)
            end = draw.choice(["failed", "silent", "unavailable", None])
            if end:
                trail.comes_back(end)
            else:
                trail.tell(T.TASK_RELEASED)
        if draw.random() < 0.8:
            trail.done()
        trails.append(trail)
    found = build_retrospective(gathered(*trails), "turn:0", NOW)
    if found is None:
        assert all(trail.lines[-1].type is not T.TASK_COMPLETED for trail in trails)
        return
    for task in found.tasks:
        assert task.attempts == (task.attempts > 0) + task.rework + task.failovers + task.released
        assert timedelta() <= (task.cycle_time or timedelta()) <= task.lead_time
    assert sum(agent.attempts for agent in found.agents) == found.total("attempts")
    counted = {task.number for task in found.tasks}
    lines = [e for trail in trails if trail.number in counted for e in trail.lines if e.type is T.TASK_SENT_BACK]
    assert sum(agent.sent_back + agent.failed for agent in found.agents) == len(lines)
    ids = [action.id for action in found.actions]
    assert len(set(ids)) == len(ids) <= MAX_ACTIONS
    assert build_retrospective(gathered(*trails), "turn:0", NOW) == found


def test_what_is_found_in_smooth_work() -> None:
    found = held(smooth(1), smooth(2), smooth(3))
    assert not found.to_improve
    assert not found.actions
    assert found.went_well == (
        "3 of 3 tasks passed all checks and reviews the first time.",
        "No agent failed or was not available.",
        "No tasks conflicted.",
    )


def _task(**minutes: float) -> TaskMetrics:
    at = {name: NOW + timedelta(minutes=value) for name, value in minutes.items()}
    return TaskMetrics(1, "", NOW, **at, attempts=1)  # type: ignore[arg-type]  # moments of whatever field


@pytest.mark.parametrize(
    ("task", "ids"),
    [
        (_task(ready_at=1, assigned_at=90, pull_opened_at=100, done_at=120), ["waiting"]),
        (_task(ready_at=90, assigned_at=91, pull_opened_at=100, done_at=120), ["unready"]),
        (_task(ready_at=1, assigned_at=2, pull_opened_at=10, done_at=120), ["closing"]),
        (_task(ready_at=1, assigned_at=20, pull_opened_at=21, done_at=25), []),
    ],
    ids=["no agent free", "filed incomplete", "slow to merge", "all of it is quick"],
)
def test_where_the_time_went(task: TaskMetrics, ids: list[str]) -> None:
    assert [action.id for action in make_findings([task], []).actions] == ids


@pytest.mark.parametrize(
    ("before", "said"),
    [(60, "fell from 1 h to 40 min"), (20, "rose from 20 min to 40 min"), (40, "")],
)
def test_it_is_compared_with_the_last_one(before: int, said: str) -> None:
    task = _task(ready_at=0, assigned_at=1, pull_opened_at=30, done_at=41)
    found = make_findings([task], [], timedelta(minutes=before))
    assert [line for line in (*found.went_well, *found.to_improve) if "cycle time" in line] == (
        [f"The median cycle time {said}."] if said else []
    )


def test_answers_only_of_whom_was_asked() -> None:
    found = held(smooth(1))
    assert found.with_answer("claude", "Hello", "alice") is None
    assert found.with_answer("codex", " <!-- nothing --> ", "alice") is None


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("", None),
        ("since 2026-02-27", datetime(2026, 2, 27, tzinfo=UTC)),
        ("7d", NOW - timedelta(days=7)),
        ("Since 2w", NOW - timedelta(days=14)),
        ("`90d`", NOW - timedelta(days=90)),
        ("1h30m", NOW - timedelta(minutes=90)),
    ],
)
def test_since_when(said: str, at: datetime | None) -> None:
    assert parse_since(said, NOW) == at


@pytest.mark.parametrize("said", ["yesterday", "2026-13-01", "since 0001", "99999w", "2026-03-03", "-7d", "\u0661d"])
def test_no_moment(said: str) -> None:
    with pytest.raises(ValueError, match=r"not a time|in the future"):
        parse_since(said, NOW)


def test_an_action_is_known_by_the_rule_that_made_it() -> None:
    first, second = held(reworked()), held(reworked(), lost_and_met())
    assert first.find_action("rework") is not None
    assert second.find_action("rework") is not None
    assert isinstance(second.find_action("failed-codex"), ActionItem)
    assert all(re.fullmatch(r"[a-z0-9._-]{1,80}", action.id) for action in second.actions)
