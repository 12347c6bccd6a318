"""The line of waiting tasks and the table of attempts, on a real database."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import event, func, select, text

from adapters.database import agents, attempts, dependency_graph, store, task_queue
from adapters.database import tables as t
from core.assignment.queue import dependents_depth, sort_queue
from core.assignment.stats import MAX_ATTEMPTS, WINDOW, AttemptRecord
from core.task.dependencies import Dependency
from core.task.model import Flag, Lease, Plan, Priority, Role, Status, Task
from tests.adapters.conftest import REPOSITORY
from tests.builders import NOW, Story

KNOWN = Story().file_ready_task().task


def task(number: int, **changes: Any) -> Task:
    return replace(KNOWN, repository_id=REPOSITORY, number=number, **changes)


async def save(connection: Any, *tasks: Task) -> None:
    for one in tasks:
        await store.save_task(connection, one, NOW)


async def numbers(connection: Any, *abilities: set[str], limit: int = 99, passed: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    wanted = task_queue.QueueFilter(frozenset(map(frozenset, abilities)) or frozenset({frozenset({"python", "docs"})}))
    return [found.number for found in await task_queue.list_assignable(connection, REPOSITORY, wanted, limit, passed)]


async def test_the_head_is_in_the_order_of_the_queue(connection: Any) -> None:
    rng = random.Random(7)
    tasks = [
        task(n, priority=rng.choice(list(Priority)), created_at=NOW + timedelta(minutes=rng.randint(0, 20)))
        for n in range(1, 40)
    ]
    await save(connection, *tasks)
    needs = {n: [m for m in range(n + 1, 40) if rng.random() < 0.05] for n in range(1, 40)}
    for n, on in needs.items():
        await dependency_graph.save_dependencies(connection, REPOSITORY, n, {f"#{m}": Dependency(False) for m in on})
        await task_queue.update_depths(connection, REPOSITORY, [n])
    expected = [one.number for one in sort_queue(tasks, dependents_depth(needs))]
    assert await numbers(connection) == expected
    assert await numbers(connection, limit=5, passed=set(expected[:3])) == expected[3:8]


async def test_what_a_person_claimed_is_not_in_the_hands_of_the_agent_of_that_name(connection: Any) -> None:
    lease = Lease("codex", 1, "task/1-1", NOW)
    at_work = {"status": Status.IN_PROGRESS, "attempt": 1}
    await save(connection, task(1, lease=replace(lease, holder_id=77), **at_work), task(2, lease=lease, **at_work))
    assert await agents.count_active_tasks(connection, REPOSITORY) == {"codex": 1}


async def test_only_what_can_be_handed_out_is_in_the_line(connection: Any) -> None:
    await save(
        connection,
        task(1),
        task(2, open_dependencies=("#1",)),
        task(3, flags={Flag.PARKED: "the queue is full"}),
        task(4, untracked=True),
        task(5, status=Status.PENDING),
        task(6, status=Status.DONE),
    )
    assert await numbers(connection) == [1]


async def test_only_what_one_of_the_free_agents_can_do_is_read(connection: Any) -> None:
    await save(
        connection,
        task(1, required_capabilities=("cobol",)),
        task(2, required_capabilities=("python", "docs")),
        task(3, required_capabilities=("python",)),
        task(4),
    )
    assert await numbers(connection, {"python"}) == [3, 4]
    assert await numbers(connection, {"python"}, {"docs"}) == [3, 4], "no agent can do half of it"
    assert await numbers(connection, {"python", "docs"}, {"cobol"}) == [1, 2, 3, 4]
    assert await task_queue.list_assignable(connection, REPOSITORY, task_queue.QueueFilter(frozenset()), 9) == []


async def test_planners_read_what_has_no_plan_and_reviewers_what_is_in_review(connection: Any) -> None:
    plan = Plan("First this, then that.", "sage", 1, NOW)
    await save(
        connection,
        task(1, required_capabilities=("cobol",)),
        task(2, required_capabilities=("cobol",), plan=plan),
        task(3, status=Status.REVIEW),
        task(4, status=Status.REVIEW, review_lease=Lease("critic", 2, "task/4-2", NOW)),
    )

    async def read(**wanted: bool) -> list[int]:
        found = await task_queue.list_assignable(
            connection, REPOSITORY, task_queue.QueueFilter(frozenset(), **wanted), 9
        )
        return [one.number for one in found]

    assert await read(can_plan=True) == [1]
    assert await read(can_review=True) == [3]
    assert await read(can_plan=True, can_review=True) == [1, 3]


async def test_chains_are_kept_whatever_changes(connection: Any) -> None:
    """Edges come and go, cycles too, tasks end and come back: the column equals a new count."""
    rng = random.Random(11)
    state = {n: task(n) for n in range(1, 15)}
    await save(connection, *state.values())
    needs: dict[int, set[int]] = {n: set() for n in state}
    for _ in range(120):
        n = rng.choice(list(state))
        if rng.random() < 0.7:
            old, needs[n] = needs[n], {rng.randint(1, 16) for _ in range(rng.randint(0, 2))}
            await dependency_graph.save_dependencies(
                connection, REPOSITORY, n, {f"#{m}": Dependency(False) for m in needs[n]}
            )
            await task_queue.update_depths(connection, REPOSITORY, [n, *old, *needs[n]])
        else:
            state[n] = replace(state[n], status=rng.choice([Status.DONE, Status.READY, Status.FAILED]))
            await save(connection, state[n])
            await task_queue.update_depths(connection, REPOSITORY, [n])
        known = await dependency_graph.load_open_graph(connection, REPOSITORY)
        rows = await connection.execute(
            select(t.tasks.c.number, t.tasks.c.dependents_depth).where(t.tasks.c.status != "done")
        )
        assert dict(rows.all()) == dependents_depth(known)
    await connection.execute(text("UPDATE tasks SET dependents_depth = 77"))
    await task_queue.update_depths(connection, REPOSITORY)
    rows = await connection.execute(
        select(t.tasks.c.number, t.tasks.c.dependents_depth).where(t.tasks.c.status != "done")
    )
    assert dict(rows.all()) == dependents_depth(await dependency_graph.load_open_graph(connection, REPOSITORY))


def row(number: int, **changes: Any) -> AttemptRecord:
    return replace(AttemptRecord(number, 1, "codex", Role.IMPLEMENT, ("python",), NOW), **changes)


async def test_of_an_attempt_the_first_moments_and_the_longest_silence_stay(connection: Any) -> None:
    later = NOW + timedelta(minutes=5)
    await attempts.save(connection, REPOSITORY, [row(1), row(1, acknowledged_at=NOW, longest_silence_seconds=30)])
    await attempts.save(
        connection, REPOSITORY, [row(1, pull_opened_at=later, first_checks_passed=False, longest_silence_seconds=9)]
    )
    await attempts.save(
        connection,
        REPOSITORY,
        [
            row(
                1,
                acknowledged_at=later,
                pull_opened_at=NOW,
                first_checks_passed=True,
                ended_at=later,
                outcome="failed",
                counts_against_agent=True,
            )
        ],
    )
    assert await attempts.list_recent(connection, REPOSITORY, later) == [
        row(
            1, acknowledged_at=NOW, pull_opened_at=later, first_checks_passed=False, longest_silence_seconds=30,
            ended_at=later, outcome="failed", counts_against_agent=True,
        )
    ]  # fmt: skip


async def test_the_windows_roll(connection: Any) -> None:
    old = row(
        999, started_at=NOW - WINDOW - timedelta(seconds=1), ended_at=NOW, outcome="failed", counts_against_agent=True
    )
    many = [row(n, started_at=NOW + timedelta(minutes=n)) for n in range(1, MAX_ATTEMPTS + 11)]
    other = row(500, agent="claude", ended_at=NOW, outcome="delivered", capabilities=("docs",))
    await attempts.save(connection, REPOSITORY, [old, *many, other])
    await attempts.save(connection, REPOSITORY + 1, [row(1, agent="claude")])
    found = await attempts.list_recent(connection, REPOSITORY, NOW, "codex")
    assert [r.task for r in found] == list(range(MAX_ATTEMPTS + 10, 10, -1))
    assert {name: m.merged for name, m in (await attempts.agent_stats(connection, REPOSITORY, NOW)).items()} == {
        "claude": 1,
        "codex": 0,
    }
    assert {k: m.merged for k, m in (await attempts.team_stats(connection, REPOSITORY, NOW))["claude"].items()} == {
        "": 1,
        "docs": 1,
    }
    assert set(await attempts.all_stats(connection, NOW)) == {
        (REPOSITORY, "claude"),
        (REPOSITORY, "codex"),
        (REPOSITORY + 1, "claude"),
    }
    assert await attempts.prune(connection, NOW) == 1 + 10, "too old, or behind the latest"
    assert await attempts.list_recent(connection, REPOSITORY, NOW, "codex") == found
    assert await attempts.prune(connection, NOW) == 0
    assert (await connection.execute(select(func.count()).select_from(t.attempts))).scalar_one() == MAX_ATTEMPTS + 2


async def test_a_change_without_dependencies_renews_no_other_row(connection: Any) -> None:
    await save(connection, *(task(n) for n in range(1, 30)))
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    await task_queue.update_depths(connection, REPOSITORY, [3])
    assert not [s for s in statements if s.startswith("UPDATE")]
    assert len(statements) == 1
