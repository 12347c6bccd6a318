"""GitHub's limits as a budget: what is let through fits into every window, and the least important wait first."""

from __future__ import annotations

import heapq
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.effects.priority import SendPriority
from core.rate_limits import (
    BURST,
    HOUR,
    MINUTE,
    RESERVED,
    Bucket,
    PrimaryLimit,
    RateLimitRequest,
    RateLimits,
    RateLimitState,
    Refund,
    Window,
    Write,
    remaining,
    try_acquire,
)

START = 1_772_442_000.0  # a Monday morning
LOW = RateLimits(points_per_minute=42, content_per_minute=4, content_per_hour=9, refill=1.0)
WIDE = RateLimits(points_per_minute=10**6, content_per_minute=10**6, content_per_hour=10**6, refill=1.0)
CARD, ANSWER = RateLimitRequest(SendPriority.CARD, True, True), RateLimitRequest(SendPriority.ANSWER, True, True)
LABELS, AGENT = RateLimitRequest(SendPriority.LABELS, True), RateLimitRequest(SendPriority.AGENT, True)

lanes = st.sampled_from(list(SendPriority))
asks = st.builds(RateLimitRequest, lanes, st.booleans(), st.booleans(), st.just("core"), st.booleans())
steps = st.lists(
    st.tuples(st.floats(0, 40), asks, st.sampled_from([0.0, 2.0, 10.0]), st.sampled_from(["used", "plain", "unused"])),
    max_size=120,
)


def after(
    budget: RateLimitState, ask: RateLimitRequest, count: int, now: float, limits: RateLimits = LOW
) -> tuple[RateLimitState, list[float]]:
    """Ask so often, each time when it was told to come back; gives when each went."""
    went = []
    for _ in range(count):
        verdict = try_acquire(budget, ask, now, limits)
        while not verdict.is_admitted:
            now = verdict.send_at
            verdict = try_acquire(verdict.budget, replace(ask, is_retry=True), now, limits)
        budget = verdict.budget if ask.is_write else verdict.budget.add_points(now, limits.read_points)
        went.append(verdict.send_at)
    return budget, went


def most(times: list[tuple[float, int]], span: float) -> int:
    """The most that any window of this span holds."""
    return max((sum(cost for at, cost in times if start <= at < start + span) for start, _ in times), default=0)


@pytest.mark.parametrize("limits", [LOW, replace(LOW, points_per_minute=900), replace(WIDE, refill=3.0)])
@given(steps)
def test_whatever_is_asked_nothing_goes_beyond_a_limit(
    limits: RateLimits, steps: list[tuple[float, RateLimitRequest, float, str]]
) -> None:
    budget, now = RateLimitState(), START
    points: list[tuple[float, int]] = []
    content: list[tuple[float, int]] = []
    writes: list[tuple[float, int]] = []
    for pause, ask, patience, comes_of_it in steps:
        now += pause
        verdict = try_acquire(budget, ask, now, limits, patience if ask.is_write else 0.0)
        budget = verdict.budget
        if not verdict.is_admitted:
            assert verdict.send_at > now
            continue
        assert now <= verdict.send_at <= now + patience
        if not ask.is_write:
            budget = budget.add_points(now, 1)
            points.append((verdict.send_at, 1))
            continue
        if comes_of_it != "used":  # its reservation is given back a moment after its slot
            now = max(now, verdict.send_at) + 0.3
            admitted = Write(verdict.send_at, ask.is_content, ask.resource)
            budget = budget.apply_refund(Refund(admitted, is_full=comes_of_it == "unused"), now, limits)
        if comes_of_it != "unused":
            points.append((verdict.send_at, 5))
            writes.append((verdict.send_at, 1))
            content += [(verdict.send_at, 1)] if ask.is_content and comes_of_it == "used" else []
    # GitHub may hear of a call a little later than we: so also of windows that are a little longer.
    assert most(points, MINUTE + 4) <= limits.points_per_minute
    assert most(content, MINUTE + 4) <= limits.content_per_minute
    assert most(content, HOUR + 4) <= limits.content_per_hour
    for span in (0.5, 5.0, 30.0, 300.0):
        assert most(writes, span) <= BURST + span / limits.refill + 1e-6


@given(steps, asks)
def test_a_retry_at_the_given_time_is_admitted_if_no_other_came(
    steps: list[tuple[float, RateLimitRequest, float, str]], last: RateLimitRequest
) -> None:
    budget, now = RateLimitState(), START
    for pause, ask, *_ in steps:
        now += pause
        budget = try_acquire(budget, ask, now, LOW).budget
    verdict, rounds = try_acquire(budget, last, now, LOW), 0
    while not verdict.is_admitted:
        rounds += 1
        verdict = try_acquire(verdict.budget, replace(last, is_retry=True), verdict.send_at, LOW)
    # Once for a window, and once for its turn behind those of more important lanes that never came.
    assert rounds <= 3


@given(steps, lanes, lanes, st.booleans(), st.booleans())
def test_a_higher_priority_never_gets_a_later_time(
    steps: list[tuple[float, RateLimitRequest, float, str]],
    one: SendPriority,
    other: SendPriority,
    writes: bool,
    content: bool,
) -> None:
    budget, now = RateLimitState(), START
    for pause, ask, *_ in steps:
        now += pause
        budget = try_acquire(budget, ask, now, LOW).budget
    first, then = sorted((one, other))
    sooner = try_acquire(budget, RateLimitRequest(first, writes, content), now, LOW)
    later = try_acquire(budget, RateLimitRequest(then, writes, content), now, LOW)
    assert sooner.send_at <= later.send_at


def test_the_least_important_leave_a_share_to_the_others() -> None:
    limits = RateLimits(refill=0.0, content_per_minute=20)
    budget, went = after(RateLimitState(), RateLimitRequest(SendPriority.DIGEST, True, True), 13, START, limits)
    assert went == [START] * 13
    assert not try_acquire(budget, RateLimitRequest(SendPriority.DIGEST, True, True), START, limits).is_admitted
    budget, went = after(budget, CARD, 2, START, limits)
    assert went == [START] * 2
    assert not try_acquire(budget, CARD, START, limits).is_admitted
    budget, went = after(budget, ANSWER, 5, START, limits)
    assert went == [START] * 5, "all of it"
    refused = try_acquire(budget, ANSWER, START, limits)
    assert START + MINUTE <= refused.send_at <= START + MINUTE + 10
    assert list(RESERVED) == list(SendPriority)


@given(steps, lanes, lanes)
def test_the_more_important_go_no_later_than_the_less_important_that_was_just_let_through(
    steps: list[tuple[float, RateLimitRequest, float, str]], one: SendPriority, other: SendPriority
) -> None:
    budget, now = RateLimitState(), START
    for pause, ask, patience, _ in steps:
        now += pause / 20
        budget = try_acquire(budget, ask, now, WIDE, patience if ask.is_write else 0.0).budget
    first, then = sorted((one, other))
    passed = try_acquire(budget, RateLimitRequest(then, True, is_retry=True), now, WIDE, 2.0)
    if passed.is_admitted and first < then:
        assert (
            try_acquire(passed.budget, RateLimitRequest(first, True, is_retry=True), now, WIDE).send_at
            <= passed.send_at
        )


@given(st.lists(st.tuples(st.floats(0, 60), lanes), min_size=1, max_size=60))
def test_every_request_is_admitted_and_none_retries_often(arrivals: list[tuple[float, SendPriority]]) -> None:
    went, asked = _simulated([(START + at, lane) for at, lane in arrivals])
    assert len(went) == len(arrivals)
    last = max(START + at for at, _ in arrivals)
    assert max(went) <= last + len(arrivals) + len(SendPriority), "no slot is left empty while anyone waits"
    assert asked <= 3 * len(arrivals) + sum(range(1, len(SendPriority)))


def _simulated(arrivals: list[tuple[float, SendPriority]]) -> tuple[list[float], int]:
    """Each write asks when it arrives, and again when it was told to; gives when each went, and how often all asked."""
    line = [(at, order, lane, False) for order, (at, lane) in enumerate(arrivals)]
    heapq.heapify(line)
    budget, went, asked = RateLimitState(), [], 0
    while line:
        now, order, lane, waited = heapq.heappop(line)
        verdict = try_acquire(budget, RateLimitRequest(lane, True, is_retry=waited), now, WIDE)
        budget, asked = verdict.budget, asked + 1
        if verdict.is_admitted:
            went.append(verdict.send_at)
        else:
            heapq.heappush(line, (verdict.send_at, order, lane, True))
    return went, asked


def test_two_hundred_labels_leave_tokens_for_agents_and_each_is_woken_once() -> None:
    went, asked = _simulated([(START, SendPriority.LABELS)] * 200)
    assert (went[4] - START, went[-1] - START, asked) == (0, 195, 395), "five at once, then one a second"
    went, asked = _simulated(
        [(START, SendPriority.LABELS)] * 200 + [(START + at, SendPriority.AGENT) for at in (0.5, 7, 7, 7, 90)]
    )
    assert asked <= 410, "what an agent displaces goes to the end of the line, and is woken once more"
    budget = RateLimitState()
    for _ in range(200):
        budget = try_acquire(budget, LABELS, START, WIDE).budget
    for _ in range(5):
        verdict = try_acquire(budget, AGENT, START, WIDE)
        assert (verdict.is_admitted, verdict.send_at) == (True, START)
        budget = verdict.budget


def test_labels_never_stop_while_there_is_room() -> None:
    busy = [(START + at, SendPriority.AGENT) for at in range(0, 300, 2)]
    went, _ = _simulated([*busy, *[(START, SendPriority.DIGEST)] * 100])
    assert len(went) == len(busy) + 100
    assert max(went) - START < 300 + 2 * len(SendPriority)


def test_a_newcomer_leaves_a_token_to_those_who_wait_longer() -> None:
    budget = RateLimitState()
    told = []
    for _ in range(7):
        verdict = try_acquire(budget, LABELS, START, WIDE)
        budget = verdict.budget
        told.append(verdict.send_at - START)
    assert told == [0, 0, 0, 0, 0, 1, 2]
    late = START + 1.4  # the caller admitted at 1 is still on its way
    assert try_acquire(budget, LABELS, late, WIDE, 2.0).send_at == START + 3
    assert try_acquire(budget, replace(LABELS, is_retry=True), late, WIDE).is_admitted
    assert try_acquire(budget, LABELS, START + 2, WIDE).is_admitted, "no caller used them"


@pytest.mark.parametrize("later", [0.5, 1.5, 8.0])
def test_a_reservation_that_is_given_back_fills_the_bucket_no_higher_than_it_was(later: float) -> None:
    first = try_acquire(RateLimitState(), ANSWER, START, WIDE)
    budget = first.budget.apply_refund(Refund(Write(START, True, "core")), START + later, WIDE)
    at_once = 0
    while (verdict := try_acquire(budget, AGENT, START + later, WIDE)).is_admitted:
        budget, at_once = verdict.budget, at_once + 1
    assert at_once == BURST
    assert budget.content.used(START) == budget.content_hour.used(START) == 0
    assert budget.points.used(START + later) == 5 * at_once


def test_what_is_no_content_after_all_frees_only_that() -> None:
    budget = RateLimitState().with_primary("core", PrimaryLimit(5000, 100, START + 900))
    budget = try_acquire(budget, ANSWER, START, LOW).budget
    budget = budget.apply_refund(Refund(Write(START, True, "core"), is_full=False), START, LOW)
    assert (budget.content.used(START), budget.points.used(START)) == (0, 5)
    assert budget.primary["core"].remaining == 99
    assert budget.apply_refund(Refund(Write(START, True, "core")), START, LOW).primary["core"].remaining == 100
    assert Window(MINUTE).subtract(START, 5) == Window(MINUTE), "what is out of the window is out"
    assert Bucket().take(START, 1.0).available_at(START, BURST, 1.0) == START + 1


def test_the_limit_by_the_hour_is_that_of_each_resource() -> None:
    budget = RateLimitState().with_primary("core", PrimaryLimit(5000, 1200, START + 900))
    assert try_acquire(budget, CARD, START, LOW).send_at == START + 900
    assert try_acquire(budget, ANSWER, START, LOW).is_admitted
    none_left = budget.with_primary("core", PrimaryLimit(5000, 0, START + 900))
    assert try_acquire(none_left, RateLimitRequest(SendPriority.AGENT, False), START, LOW).send_at == START + 900
    assert try_acquire(
        none_left, RateLimitRequest(SendPriority.AGENT, False, resource="graphql"), START, LOW
    ).is_admitted
    assert try_acquire(none_left, RateLimitRequest(SendPriority.AGENT, False), START + 900, LOW).is_admitted, (
        "it is full again"
    )


def test_answers_that_overtake_each_other_never_give_back_what_was_used() -> None:
    budget = (
        RateLimitState()
        .with_primary("core", PrimaryLimit(5000, 10, START + 900))
        .with_primary("core", PrimaryLimit(5000, 12, START + 900))
    )
    assert budget.primary["core"].remaining == 10
    budget = try_acquire(budget, RateLimitRequest(SendPriority.AGENT, True), START, LOW).budget
    assert budget.primary["core"].remaining == 9, "counted before the answer says so"
    budget = budget.with_primary("core", PrimaryLimit(5000, 4999, START + 4500))
    assert budget.primary["core"].remaining == 4999
    assert budget.with_primary("core", PrimaryLimit(5000, 3, START + 900)) == budget, "of the hour before"


def test_a_secondary_limit_stops_everybody() -> None:
    budget = RateLimitState().with_block(START + 60).with_block(START + 30)
    for lane in SendPriority:
        for writes in (False, True):
            assert try_acquire(budget, RateLimitRequest(lane, writes), START, LOW).send_at == START + 60
    assert try_acquire(budget, RateLimitRequest(SendPriority.DIGEST, True), START + 60, LOW).is_admitted


def test_the_remaining_budget_is_reported() -> None:
    budget, _ = after(RateLimitState().with_primary("core", PrimaryLimit(5000, 100, START + 900)), ANSWER, 3, START)
    left = {"core": 97, "points_minute": 27, "content_minute": 1, "content_hour": 6}
    assert remaining(budget, START + 3, LOW) == left
    later = {"core": 5000, "points_minute": 42, "content_minute": 4, "content_hour": 6}
    assert remaining(budget, START + 1000, LOW) == later
    blocked = remaining(budget.with_block(START + 60), START + 3, LOW)
    assert (blocked["points_minute"], blocked["content_minute"]) == (0, 0)


def test_a_call_that_costs_more_than_a_low_limit_goes_when_nothing_else_has() -> None:
    window = Window(MINUTE)
    assert window.available_at(START, 5, 3) == START
    assert window.add(START, 1).available_at(START, 5, 3) >= START + MINUTE
