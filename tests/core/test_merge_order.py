"""The order of merging leaves the fewest conflicts that any order leaves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations

from hypothesis import given
from hypothesis import strategies as st

from core.conflicts.merge_order import MergeablePull, MergeOrder, merge_order
from tests.suite import examples

DAY = datetime(2026, 1, 31, tzinfo=UTC)


def pulls(*ranks: int) -> list[MergeablePull]:
    """Numbered from 1, in the order in which they were opened."""
    return [MergeablePull(number, rank, DAY + timedelta(hours=number)) for number, rank in enumerate(ranks, start=1)]


def met(sequence: Iterable[int], clashes: Iterable[tuple[int, int]]) -> list[int]:
    """Those that clash with one before them."""
    pairs = {frozenset(pair) for pair in clashes}
    order = list(sequence)
    return [n for at, n in enumerate(order) if any(frozenset({n, before}) in pairs for before in order[:at])]


def test_without_clashes_the_urgent_come_first_and_then_who_was_first() -> None:
    assert merge_order(pulls(2, 1, 0, 1), [], {}) == MergeOrder((3, 2, 4, 1), (), exact=True)
    assert merge_order([], [], {}) == MergeOrder((), (), exact=True)


def test_one_that_clashes_with_many_waits_for_all_of_them() -> None:
    order = merge_order(pulls(0, 1, 1, 1), [(1, 2), (1, 3), (1, 4)], {})
    assert order == MergeOrder((2, 3, 4, 1), (1,), exact=True)


def test_of_two_that_clash_the_more_urgent_goes_first_then_the_earlier() -> None:
    assert merge_order(pulls(1, 0), [(1, 2)], {}) == MergeOrder((2, 1), (1,), exact=True)
    assert merge_order(pulls(1, 1), [(2, 1)], {}) == MergeOrder((1, 2), (2,), exact=True)


def test_what_waits_for_another_comes_after_it_even_if_that_costs_a_conflict() -> None:
    order = merge_order(pulls(1, 1, 1), [(1, 2), (1, 3)], {2: [1], 3: [1]})
    assert order == MergeOrder((1, 2, 3), (2, 3), exact=True)
    assert merge_order(pulls(0, 1), [(1, 2)], {1: [2]}) == MergeOrder((2, 1), (1,), exact=True)


def test_unknown_or_cyclic_dependencies_block_no_merge() -> None:
    order = merge_order(pulls(1, 1, 1), [(1, 99), (2, 2)], {1: [99, 1], 2: [3], 3: [2], 99: [1]})
    assert order == MergeOrder((1, 2, 3), (), exact=True)


worlds = st.integers(1, 6).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(0, 2), min_size=count, max_size=count),
        st.sets(st.sampled_from(list(combinations(range(1, count + 1), 2)) or [(1, 1)])),
        st.sets(st.sampled_from(list(permutations(range(1, count + 1), 2)) or [(1, 1)]), max_size=3),
    )
)


def as_map(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for later, earlier in pairs:
        found.setdefault(later, []).append(earlier)
    return found


@examples(150)
@given(worlds)
def test_no_order_that_respects_the_dependencies_has_fewer_conflicts(
    world: tuple[list[int], set[tuple[int, int]], set[tuple[int, int]]],
) -> None:
    ranks, clashes, waits = world
    numbers = range(1, len(ranks) + 1)
    orders = [
        order
        for order in permutations(numbers)
        if all(order.index(earlier) <= order.index(later) for later, earlier in waits)
    ]

    found = merge_order(pulls(*ranks), clashes, as_map(waits))

    assert sorted(found.sequence) == list(numbers)
    assert list(found.conflicting) == met(found.sequence, clashes)
    assert found.exact
    assert merge_order(pulls(*ranks)[::-1], sorted(clashes)[::-1], as_map(sorted(waits)[::-1])) == found
    if orders:
        assert found.sequence in orders
        assert len(found.conflicting) == min(len(met(order, clashes)) for order in orders)


graphs = st.integers(2, 12).flatmap(
    lambda count: st.tuples(st.just(count), st.sets(st.sampled_from(list(combinations(range(1, count + 1), 2)))))
)


@examples(60)
@given(graphs)
def test_up_to_twelve_it_is_exact_and_the_guess_beyond_is_never_worse_than_the_known_bound(
    graph: tuple[int, set[tuple[int, int]]],
) -> None:
    count, clashes = graph
    rows = [
        sum(1 << other for pair in clashes if one in pair for other in pair if other != one) for one in range(count + 1)
    ]
    largest = max(
        some.bit_count()
        for some in range(0, 2 << count, 2)
        if not any(some >> one & 1 and some & rows[one] for one in range(count + 1))
    )

    found = merge_order(pulls(*[1] * count), clashes, {})
    guessed = merge_order(pulls(*[1] * count), clashes, {}, exact_up_to=0)

    assert count - len(found.conflicting) == largest
    assert list(guessed.conflicting) == met(guessed.sequence, clashes)
    # Caro and Wei: always taking the one that rules out fewest leaves at least this many without a conflict.
    assert count - len(guessed.conflicting) >= sum(1 / (row.bit_count() + 1) for row in rows[1:]) - 1e-9
    assert len(guessed.conflicting) >= len(found.conflicting)


def test_a_large_group_is_ordered_well_and_says_that_it_is_a_guess() -> None:
    """Rings of five, chained: the best leaves two of each five without a conflict."""
    clashes = [(5 * ring + at, 5 * ring + at % 5 + 1) for ring in range(8) for at in range(1, 6)]
    clashes += [(5 * ring + 1, 5 * ring + 6) for ring in range(7)]
    found = merge_order(pulls(*[1] * 40), clashes, {40: [36]})
    assert not found.exact
    assert len(found.conflicting) == 24
    assert found.sequence.index(36) < found.sequence.index(40)


def test_dependencies_hold_in_large_groups_too() -> None:
    clashes = list(combinations(range(1, 16), 2))
    waits = {number: [number + 1] for number in range(1, 15)}
    found = merge_order(pulls(*[1] * 15), clashes, waits)
    assert found.sequence == tuple(range(15, 0, -1))
    assert len(found.conflicting) == 14
