"""The measures of agents: what they say of a history, what they change in a choice, and what deadlines learn."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.repository import Scoring, Timeouts
from core.assignment.rules import choose_agent
from core.assignment.stats import (
    AttemptRecord,
    AttemptStats,
    attempt_records,
    compute_stats,
    group_by_agent,
    learn_timeout,
    performance_scores,
    quantile,
    stats_by_capability,
)
from core.task.model import ChecksState, LearnedTimeout, Role
from tests.builders import NOW, Story, agent

MIN = timedelta(minutes=1)
TIMES = Timeouts()
REPLAY = yaml.safe_load((Path(__file__).parents[1] / "data" / "attempts_replay.yml").read_text(encoding="utf-8"))


def row(number: int = 1, **changes: Any) -> AttemptRecord:
    known = AttemptRecord(number, 1, "codex", Role.IMPLEMENT, ("python",), NOW)
    return replace(known, **changes)


def done(number: int, minutes: float = 30, **changes: Any) -> AttemptRecord:
    return row(number, outcome="delivered", pull_opened_at=NOW + minutes * MIN, ended_at=NOW + 99 * MIN, **changes)


def failed(number: int, **changes: Any) -> AttemptRecord:
    return row(number, outcome="failed", counts_against_agent=True, ended_at=NOW + 99 * MIN, **changes)


class TestTheFigures:
    def test_nothing_is_said_of_whom_nothing_is_known(self) -> None:
        assert compute_stats([]) == AttemptStats(0, 0, None, None, None, None, None)
        assert compute_stats([row()]) == AttemptStats(0, 0, None, None, None, None, None)

    def test_errors_rework_and_first_checks(self) -> None:
        rows = [
            done(1, first_checks_passed=True),
            done(2, first_checks_passed=True),
            failed(3, first_checks_passed=False),
            failed(4),
            row(5, outcome="released", ended_at=NOW),
            row(6, outcome="unavailable", ended_at=NOW),
            row(7, first_checks_passed=True),  # still at work
        ]
        found = compute_stats(rows)
        assert (found.attempts, found.merged, found.error_rate, found.rework) == (4, 2, 0.5, 2.0)
        assert found.first_pass_rate == 0.75

    def test_times_are_those_from_the_hand_over_to_the_pull_request(self) -> None:
        found = compute_stats([done(n, minutes=n) for n in range(1, 11)])
        assert (found.median, found.p90) == (5 * MIN, 9 * MIN)

    def test_each_capability_has_figures_of_its_own(self) -> None:
        rows = [done(1, capabilities=("python", "docs")), failed(2, capabilities=("python",)), done(3, capabilities=())]
        found = stats_by_capability(rows)
        assert {name: (m.attempts, m.error_rate) for name, m in found.items()} == {"docs": (1, 0), "python": (2, 0.5)}

    @pytest.mark.parametrize(
        ("values", "share", "found"),
        [((), 0.5, None), ((3,), 0.99, 3), ((1, 2, 3, 4), 0.5, 2), (range(1, 101), 0.99, 99), (range(1, 51), 0.99, 50)],
    )
    def test_the_quantile_is_a_value_that_was_seen(self, values: Any, share: float, found: float | None) -> None:
        assert quantile(values, share) == found


class TestTheMerit:
    def test_success_and_speed_count_half_each(self) -> None:
        found = performance_scores(
            {"a": compute_stats([done(n, 10) for n in range(8)]), "b": compute_stats([done(1, 20), failed(2)])}
        )
        assert found == {"a": 0.5 * 9 / 10 + 0.5, "b": 0.5 * 2 / 4 + 0.25}

    def test_an_agent_without_deliveries_has_no_speed_and_no_zero_score(self) -> None:
        assert performance_scores({"a": compute_stats([failed(1)])}) == {"a": 0.5 / 3 + 0.25}
        assert performance_scores({"a": compute_stats([])}) == {"a": 0.5}, "like an unknown agent"

    def test_a_pull_request_in_no_time_divides_by_nothing(self) -> None:
        assert performance_scores({"a": compute_stats([done(1, 0)])})["a"] == pytest.approx(0.5 * 2 / 3 + 0.5)


class TestTheReplay:
    """A hundred and twenty attempts of three agents: the figures change who is chosen."""

    @pytest.fixture
    def rows(self) -> list[AttemptRecord]:
        return [_replayed(line, number) for number, line in enumerate(REPLAY["attempts"], 1)]

    def test_the_numbers_are_those_of_the_history(self, rows: list[AttemptRecord]) -> None:
        assert len(rows) >= 100
        found = {name: compute_stats(own) for name, own in group_by_agent(rows).items()}
        told = {
            name: {
                "attempts": m.attempts,
                "done": m.merged,
                "error_rate": round(m.error_rate or 0, 3),
                "first_pass": round(m.first_pass_rate or 0, 3),
                "rework": round(m.rework or 0, 3),
                "median_minutes": (m.median or 0 * MIN) / MIN,
                "p90_minutes": (m.p90 or 0 * MIN) / MIN,
            }
            for name, m in found.items()
        }
        assert told == REPLAY["figures"]

    @pytest.mark.parametrize(("learned", "winner"), [(0.0, "amber"), (0.5, "blue")])
    def test_the_numbers_change_the_choice(self, rows: list[AttemptRecord], learned: float, winner: str) -> None:
        merit = performance_scores({name: compute_stats(own) for name, own in group_by_agent(rows).items()})
        team = [agent(name, "python", performance=merit[name], total_assigned=40) for name in sorted(merit)]
        choice = choose_agent(Story().file_ready_task().task, team, Scoring(learned=learned), NOW)
        assert choice.agent == winner
        parts = {c.agent: c.parts.get("learned") for c in choice.candidates}
        assert parts == {name: learned * merit[name] if learned else None for name in merit}


def _replayed(line: dict[str, Any], number: int) -> AttemptRecord:
    minutes = line.get("minutes")
    return AttemptRecord(
        task=number,
        attempt=1,
        agent=line["agent"],
        role=Role.IMPLEMENT,
        capabilities=tuple(line["needs"]),
        started_at=NOW,
        acknowledged_at=NOW + timedelta(seconds=line["ack"]),
        pull_opened_at=None if minutes is None else NOW + minutes * MIN,
        ended_at=NOW + timedelta(hours=2),
        outcome=line["outcome"],
        counts_against_agent=line["outcome"] in ("failed", "silent"),
        first_checks_passed=line.get("checks"),
        longest_silence_seconds=line["silence"],
    )


class TestPatience:
    def seen(self, count: int, *, ack: float = 1, silence: float = 1) -> list[AttemptRecord]:
        """`count` attempts, with these minutes to the first sign of life and between two of them."""
        return [done(n, acknowledged_at=NOW + ack * MIN, longest_silence_seconds=silence * 60) for n in range(count)]

    def test_it_is_learned_from_twenty_attempts_and_not_from_less(self) -> None:
        assert learn_timeout(self.seen(19, ack=4), TIMES) is None
        assert learn_timeout(self.seen(20, ack=4), TIMES) == LearnedTimeout(6 * MIN, TIMES.heartbeat)
        assert learn_timeout(self.seen(20, silence=20), TIMES) == LearnedTimeout(TIMES.ack, 30 * MIN)

    def test_the_configured_timeouts_are_the_floor(self) -> None:
        assert learn_timeout(self.seen(50, ack=0.1, silence=0.5), TIMES) is None

    def test_there_is_a_ceiling(self) -> None:
        assert learn_timeout(self.seen(50, ack=100, silence=400), TIMES) == LearnedTimeout(
            6 * TIMES.ack, 6 * TIMES.heartbeat
        )
        short = Timeouts(ack=MIN, heartbeat=5 * MIN, stall=6 * MIN, attempt=8 * MIN)
        assert learn_timeout(self.seen(50, ack=100, silence=400), short) == LearnedTimeout(6 * MIN, 8 * MIN)

    def test_the_slowest_in_a_hundred_counts_and_the_slowest_of_all_does_not(self) -> None:
        rows = [*self.seen(99, ack=4), *self.seen(1, ack=11)]
        assert learn_timeout(rows, TIMES) == LearnedTimeout(6 * MIN, TIMES.heartbeat)

    def test_the_silence_of_the_dead_teaches_nothing(self) -> None:
        dead = [replace(r, outcome="silent") for r in self.seen(50, ack=4, silence=20)]
        assert learn_timeout([*dead, *self.seen(19, ack=4)], TIMES) is None


class TestWhatAChangeTells:
    def change(self, story: Story, step: Any) -> tuple[AttemptRecord, ...]:
        before = story.current_task
        step()
        return attempt_records(before, story.task, story.now)

    def test_an_attempt_from_its_beginning_to_its_end(self) -> None:
        story = Story().file_ready_task()
        [begun] = self.change(story, story.assign)
        since = story.now
        assert begun == AttemptRecord(1, 1, "codex", Role.IMPLEMENT, story.task.required_capabilities, since)
        [at_work] = self.change(story, story.start_run)
        assert at_work == replace(begun, acknowledged_at=story.now)
        acknowledged: datetime = story.now
        story.advance(minutes=6)
        [alive] = self.change(story, story.start_run)
        assert alive.longest_silence_seconds == 7 * 60
        [handed_in] = self.change(story, story.see_pull)
        assert (handed_in.pull_opened_at, handed_in.acknowledged_at) == (story.now, acknowledged)
        [green] = self.change(story, lambda: story.report_checks(ChecksState.SUCCESS))
        assert green.first_checks_passed is True
        [ended] = self.change(story, lambda: story.see_issue(closed=True, not_planned=True))
        assert (ended.outcome, ended.counts_against_agent, ended.ended_at) == ("released", False, story.now)

    def test_red_checks_end_it(self) -> None:
        story = Story().file_ready_task().reach_review()
        [ended] = self.change(story, lambda: story.report_checks(ChecksState.FAILURE))
        assert (ended.outcome, ended.counts_against_agent, ended.first_checks_passed) == ("failed", True, False)

    def test_a_draft_is_not_handed_in(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        [seen] = self.change(story, lambda: story.see_pull(draft=True))
        assert seen.pull_opened_at is None

    def test_people_are_not_measured(self) -> None:
        story = Story().file_ready_task()
        assert self.change(story, lambda: story.run_command("/claim")) == ()
        assert self.change(story, lambda: story.run_command("/release")) == ()

    def test_what_does_not_touch_the_work_tells_nothing(self) -> None:
        story = Story().file_ready_task().assign()
        assert self.change(story, lambda: story.add_label("P0")) == ()
