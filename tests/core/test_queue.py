"""The order of the queue, chains and cycles: told by examples, and compared with slow but obvious answers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from core.assignment.queue import (
    QueuedTask,
    dependents_depth,
    overflow,
    shortest_cycle,
    sort_queue,
    strongly_connected_component,
)
from core.task.model import Priority, Task
from tests.builders import NOW, Story
from tests.suite import examples

graphs = st.dictionaries(st.integers(1, 7), st.lists(st.integers(1, 8), max_size=4), max_size=7)
plain = settings(examples(150), derandomize=True)


def task(number: int, priority: str = "P2", age: int = 0) -> Task:
    known = Story().file_ready_task().task
    return replace(known, number=number, priority=Priority(priority), created_at=NOW - timedelta(hours=age))


def test_priority_comes_first_then_what_unblocks_most_then_the_oldest() -> None:
    tasks = [task(1), task(2, age=5), task(3), task(4, "P1"), task(5, "P0"), task(6, "P0", age=1)]
    assert [t.number for t in sort_queue(tasks, {3: 2, 5: 0, 6: 0})] == [6, 5, 4, 3, 2, 1]


def test_a_long_chain_behind_a_p2_does_not_let_it_pass_a_p1() -> None:
    assert [t.number for t in sort_queue([task(1), task(2, "P1")], {1: 100})] == [2, 1]


def test_of_two_tasks_of_one_second_the_smaller_number_goes_first() -> None:
    assert [t.number for t in sort_queue([task(9), task(4)], {})] == [4, 9]


def test_a_chain_counts_what_finishing_it_unblocks() -> None:
    assert dependents_depth({1: (), 2: (1,), 3: (2,), 4: (1,), 5: ()}) == {1: 2, 2: 1, 3: 0, 4: 0, 5: 0}


def test_a_dependency_outside_the_graph_is_finished_and_counts_nothing() -> None:
    assert dependents_depth({2: (1,)}) == {2: 0}
    assert shortest_cycle({2: (1,)}, 2) == ()


def test_tasks_on_a_cycle_unblock_nothing() -> None:
    assert dependents_depth({1: (2,), 2: (1,), 3: (1,)}) == {1: 0, 2: 0, 3: 0}


def test_a_chain_longer_than_the_stack_is_no_trouble() -> None:
    graph = {n: (n - 1,) for n in range(1, 5001)}
    assert dependents_depth(graph)[1] == 4999
    assert shortest_cycle(graph, 5000) == ()
    assert len(shortest_cycle({**graph, 1: (5000,)}, 1)) == 5000


def test_a_cycle_is_named_from_its_start_by_the_shortest_way() -> None:
    assert shortest_cycle({1: (2, 3), 2: (4,), 3: (1,), 4: (1,)}, 1) == (1, 3)
    assert shortest_cycle({1: (1,)}, 1) == (1,)
    assert shortest_cycle({1: (2,), 2: (3,), 3: (2,)}, 1) == ()


def test_the_knot_is_everybody_on_a_cycle_through_the_task() -> None:
    graph = {1: (2, 4), 2: (3,), 3: (1, 2), 4: (5,), 5: (), 6: (1,)}
    assert strongly_connected_component(graph, 1) == {1, 2, 3}
    assert strongly_connected_component(graph, 6) == strongly_connected_component(graph, 4) == frozenset()


def test_who_waits_for_itself_is_a_knot_of_one_and_a_stranger_is_none() -> None:
    assert strongly_connected_component({1: (1, 2), 2: ()}, 1) == {1}
    assert strongly_connected_component({1: (2,), 2: (1,)}, 9) == frozenset()


@plain
@given(graphs, st.integers(1, 7))
def test_the_knot_agrees_with_asking_each_task_for_its_way_back(graph: dict[int, list[int]], start: int) -> None:
    there = {n for n in {*graph, start} if _way(graph, start, n) and _way(graph, n, start)}
    assert strongly_connected_component(graph, start) == there


def _way(graph: dict[int, list[int]], start: int, end: int) -> bool:
    ahead, found = list(graph.get(start, ())), set[int]()
    while ahead:
        number = ahead.pop()
        if number == end:
            return True
        if number not in found:
            found.add(number)
            ahead += graph.get(number, ())
    return False


@plain
@given(graphs)
def test_chain_lengths_agree_with_walking_every_path(graph: dict[int, list[int]]) -> None:
    behind = {n: {m for m, needs in graph.items() if n in needs} for n in graph}

    def reached(start: int) -> set[int]:
        found: set[int] = set()
        frontier = behind[start]
        while frontier - found:
            found |= frontier
            frontier = set().union(*(behind[n] for n in frontier))
        return found

    def longest(number: int) -> int:
        return max((1 + longest(m) for m in behind[number]), default=0)

    # Whatever has a cycle behind it counts as 0.
    cyclic = {n for n in graph if n in reached(n)}
    hopeless = {n for n in graph if n in cyclic or reached(n) & cyclic}
    assert dependents_depth(graph) == {n: 0 if n in hopeless else longest(n) for n in graph}


@plain
@given(graphs, st.integers(1, 7))
def test_cycles_agree_with_trying_every_path(graph: dict[int, list[int]], start: int) -> None:
    found = shortest_cycle(graph, start)
    if found:
        assert found[0] == start
        assert all(b in graph.get(a, ()) for a, b in itertools.pairwise((*found, start)))
    shorter = range(1, len(found) or 8)
    others = set(graph) - {start}
    for length in shorter:
        for rest in itertools.permutations(others, length - 1):
            path = (start, *rest, start)
            assert not all(b in graph.get(a, ()) for a, b in itertools.pairwise(path)), "a shorter cycle"


queued = st.lists(
    st.builds(
        QueuedTask,
        st.integers(1, 50),
        st.sampled_from(["P0", "P1", "P2"]),
        st.integers(0, 9).map(lambda day: NOW + timedelta(days=day)),
        st.booleans(),
    ),
    unique_by=lambda one: one.number,
)


@given(queued, st.integers(1, 12))
def test_tasks_are_parked_only_from_a_full_queue_and_none_is_lost(line: list[QueuedTask], depth: int) -> None:
    over, room = overflow(line, depth)
    parked = ({one.number for one in line if one.parked} | set(over)) - set(room)
    inside = [one for one in line if one.number not in parked]
    outside = [one for one in line if one.number in parked]
    assert len(inside) == min(depth, len(line))
    for out in outside:
        assert all((there.priority, there.created_at) <= (out.priority, out.created_at) for there in inside)
    after = [QueuedTask(one.number, one.priority, one.created_at, one.number in parked) for one in line]
    assert overflow(after, depth) == ([], []), "and then nothing more is to be done"
