"""GitHub's limits as a budget: what is let through fits into every window, and the least important wait first."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from core.budget import HOUR, MINUTE, RESERVED, Ask, Budget, Limits, Primary, Window, admit, remaining
from core.lanes import Lane

START = 1_772_442_000.0  # a Monday morning
LOW = Limits(points_per_minute=42, content_per_minute=4, content_per_hour=9, gap=1.0)
CARD, ANSWER = Ask(Lane.CARD, True, True), Ask(Lane.ANSWER, True, True)

asks = st.builds(Ask, st.sampled_from(list(Lane)), st.booleans(), st.booleans(), st.just("core"), st.booleans())
steps = st.lists(st.tuples(st.floats(0, 40), asks, st.sampled_from([0.0, 1.0, 10.0])), max_size=120)


def after(budget: Budget, ask: Ask, count: int, now: float, limits: Limits = LOW) -> tuple[Budget, list[float]]:
    """Ask so often, each time when it was told to come back; gives when each went."""
    went = []
    for _ in range(count):
        verdict = admit(budget, ask, now, limits)
        while not verdict.goes:
            now = verdict.at
            verdict = admit(verdict.budget, replace(ask, waited=True), now, limits)
        budget = verdict.budget if ask.writes else verdict.budget.read(now, limits.read_points)
        went.append(verdict.at)
    return budget, went


def most(times: list[tuple[float, int]], span: float) -> int:
    """The most that any window of this span holds."""
    return max((sum(cost for at, cost in times if start <= at < start + span) for start, _ in times), default=0)


@given(steps)
def test_whatever_is_asked_nothing_goes_beyond_a_limit(steps: list[tuple[float, Ask, float]]) -> None:
    budget, now = Budget(), START
    points: list[tuple[float, int]] = []
    content: list[tuple[float, int]] = []
    writes: list[float] = []
    for pause, ask, patience in steps:
        now += pause
        verdict = admit(budget, ask, now, LOW, patience if ask.writes else 0.0)
        budget = verdict.budget
        if not verdict.goes:
            assert verdict.at > now
            continue
        assert now <= verdict.at <= now + patience
        points.append((verdict.at, 5 if ask.writes else 1))
        if ask.writes:
            writes.append(verdict.at)
            content += [(verdict.at, 1)] if ask.content else []
        else:
            budget = budget.read(now, 1)
    # GitHub may hear of a call a little later than we: so also of windows that are a little longer.
    assert most(points, MINUTE + 4) <= LOW.points_per_minute
    assert most(content, MINUTE + 4) <= LOW.content_per_minute
    assert most(content, HOUR + 4) <= LOW.content_per_hour
    ordered = sorted(writes)
    assert all(later - earlier >= LOW.gap - 1e-6 for earlier, later in itertools.pairwise(ordered))


@given(steps, asks)
def test_who_comes_back_when_told_goes_if_nobody_else_came(steps: list[tuple[float, Ask, float]], last: Ask) -> None:
    budget, now = Budget(), START
    for pause, ask, _ in steps:
        now += pause
        budget = admit(budget, ask, now, LOW).budget
    verdict, rounds = admit(budget, last, now, LOW), 0
    while not verdict.goes:
        rounds += 1
        verdict = admit(verdict.budget, replace(last, waited=True), verdict.at, LOW)
    # Once for a window, and once for its turn behind those of more important lanes that never came.
    assert rounds <= 3


@given(steps, st.sampled_from(list(Lane)), st.sampled_from(list(Lane)), st.booleans(), st.booleans())
def test_the_more_important_is_never_told_a_later_time(
    steps: list[tuple[float, Ask, float]], one: Lane, other: Lane, writes: bool, content: bool
) -> None:
    budget, now = Budget(), START
    for pause, ask, _ in steps:
        now += pause
        budget = admit(budget, ask, now, LOW).budget
    first, then = sorted((one, other))
    sooner = admit(budget, Ask(first, writes, content), now, LOW)
    later = admit(budget, Ask(then, writes, content), now, LOW)
    assert sooner.at <= later.at


def test_the_least_important_leave_a_share_to_the_others() -> None:
    limits = Limits(gap=0.0, content_per_minute=20)
    budget, went = after(Budget(), Ask(Lane.DIGEST, True, True), 13, START, limits)
    assert went == [START] * 13
    assert not admit(budget, Ask(Lane.DIGEST, True, True), START, limits).goes
    budget, went = after(budget, CARD, 2, START, limits)
    assert went == [START] * 2
    assert not admit(budget, CARD, START, limits).goes
    budget, went = after(budget, ANSWER, 5, START, limits)
    assert went == [START] * 5, "all of it"
    refused = admit(budget, ANSWER, START, limits)
    assert START + MINUTE <= refused.at <= START + MINUTE + 10
    assert list(RESERVED) == list(Lane)


def test_in_the_line_for_a_turn_an_answer_passes_the_cards() -> None:
    budget = admit(Budget(), CARD, START, LOW).budget
    told = []
    for _ in range(3):
        verdict = admit(budget, replace(CARD, content=False), START, LOW)
        budget = verdict.budget
        told.append(verdict.at - START)
    assert told == [1, 2, 3], "each gets a turn of its own"
    assert admit(budget, ANSWER, START, LOW).at == START + 1
    budget = admit(budget, ANSWER, START, LOW).budget
    back = admit(budget, replace(CARD, content=False, waited=True), START + 1, LOW)
    assert (back.goes, back.at) == (False, START + 2), "the card that comes back lets it pass"
    assert admit(back.budget, replace(ANSWER, waited=True), START + 1, LOW).goes


def test_the_limit_by_the_hour_is_that_of_each_resource() -> None:
    budget = Budget().heard("core", Primary(5000, 1200, START + 900))
    assert admit(budget, CARD, START, LOW).at == START + 900
    assert admit(budget, ANSWER, START, LOW).goes
    none_left = budget.heard("core", Primary(5000, 0, START + 900))
    assert admit(none_left, Ask(Lane.AGENT, False), START, LOW).at == START + 900
    assert admit(none_left, Ask(Lane.AGENT, False, resource="graphql"), START, LOW).goes
    assert admit(none_left, Ask(Lane.AGENT, False), START + 900, LOW).goes, "it is full again"


def test_answers_that_overtake_each_other_never_give_back_what_was_used() -> None:
    budget = Budget().heard("core", Primary(5000, 10, START + 900)).heard("core", Primary(5000, 12, START + 900))
    assert budget.primary["core"].remaining == 10
    budget = admit(budget, Ask(Lane.AGENT, True), START, LOW).budget
    assert budget.primary["core"].remaining == 9, "counted before the answer says so"
    budget = budget.heard("core", Primary(5000, 4999, START + 4500))
    assert budget.primary["core"].remaining == 4999
    assert budget.heard("core", Primary(5000, 3, START + 900)) == budget, "of the hour before"


def test_a_secondary_limit_stops_everybody() -> None:
    budget = Budget().refused(START + 60).refused(START + 30)
    for lane in Lane:
        for writes in (False, True):
            assert admit(budget, Ask(lane, writes), START, LOW).at == START + 60
    assert admit(budget, Ask(Lane.DIGEST, True), START + 60, LOW).goes


def test_what_is_left_is_told() -> None:
    budget, _ = after(Budget().heard("core", Primary(5000, 100, START + 900)), ANSWER, 3, START)
    left = {"core": 97, "points_minute": 27, "content_minute": 1, "content_hour": 6}
    assert remaining(budget, START + 3, LOW) == left
    later = {"core": 5000, "points_minute": 42, "content_minute": 4, "content_hour": 6}
    assert remaining(budget, START + 1000, LOW) == later
    blocked = remaining(budget.refused(START + 60), START + 3, LOW)
    assert (blocked["points_minute"], blocked["content_minute"]) == (0, 0)


def test_a_call_that_costs_more_than_a_low_limit_goes_when_nothing_else_has() -> None:
    window = Window(MINUTE)
    assert window.free_at(START, 5, 3) == START
    assert window.add(START, 1).free_at(START, 5, 3) >= START + MINUTE
