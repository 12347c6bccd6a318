"""Deliveries come twice, late, in any order: the end is the same, and nothing happens twice."""

import pytest

from sandbox import ScriptedResult
from sandbox.actors.agents import WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World
from tests.scenarios.writes import delivery_lines
from tests.suite import full_only

TAX = {"shop/tax.py": "RATE = 0.19\n"}


async def test_every_delivery_comes_twice(world: World) -> None:
    codex = world.agent("codex", WritesFiles(TAX))
    world.hub.faults.duplicate(times=1000)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.hub.faults.clear()
    assert world.written() == delivery_lines(1, 2, "codex", card="card")
    assert len(codex.work_items) == 1
    assert (await world.events(issue)).count("task_created") == 1


async def test_every_delivery_is_redelivered_afterwards(world: World) -> None:
    """GitHub keeps the GUID of a delivery that is sent again."""
    codex = world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    await world.says(issue, "/status")
    events = await world.events(issue)
    world.ignore_writes("set-up")
    for delivery in list(world.hub.deliveries):
        again = await world.hub.redeliver(delivery.guid)
        assert (again.status_code, again.is_delivered) == (200, True)
    await world.settle()
    assert world.written() == []
    assert await world.events(issue) == events
    assert len(codex.work_items) == 1


@pytest.mark.parametrize("held", [7, *full_only(2, 3)])
async def test_deliveries_out_of_order(world: World, held: int) -> None:
    world.agent("codex", WritesFiles(TAX))
    issue = await world.alice.opens_issue(world.shop, "Add the tax rate", body(needs="tests"), labels=["task"])
    world.hub.faults.reorder(held)
    for _ in range(12):  # each time so many have come they are let go, in reversed order
        await world.settle()
        await world.advance(seconds=30)
        if world.hub.faults.reorder_count == 0:
            world.hub.faults.reorder(held)
    await _let_go(world)
    assert world.status(issue) == "done"
    written = world.written()
    assert [line for line in written if line.startswith(("dispatch", "merge"))] == [
        "dispatch task/1-1 to codex",
        "merge #2",
    ]
    assert [line for line in written if "comment" in line] == []


async def _let_go(world: World) -> None:
    """Fill up what is held with deliveries that mean nothing, until all have come."""
    bystander = world.person("bystander", "read")
    noise = await bystander.opens_issue(world.shop, "Noise")
    while world.hub.faults.reorder_count:
        await bystander.comments(noise, "More noise.")
        await world.settle()


async def test_edits_out_of_order(world: World) -> None:
    """The author edits twice; the news of the first edit comes last and changes nothing."""
    issue = await world.files("Add the tax rate", body("First.", needs="tests", criteria=()))
    world.clock.advance(5)
    world.hub.faults.reorder(2)
    await world.alice.edits_issue(issue, body=body("Second.", needs="tests", criteria=(), depends_on="#8"))
    world.clock.advance(5)
    await world.alice.edits_issue(issue, body=body("Third.", needs="tests", criteria=(), depends_on="#9"))
    await world.settle()
    assert (await world.task(issue)).intake.goal == "Third."
    await world.says(issue, "/ready")
    assert "#9, which does not exist" in world.card(issue)
    assert "#8" not in world.card(issue)
    world.ignore_writes("only the outcome matters")


async def test_two_edits_in_one_second_out_of_order(world: World) -> None:
    issue = await world.files("Add the tax rate", body("First.", needs="tests", criteria=()))
    world.hub.faults.reorder(2)
    await world.alice.edits_issue(issue, body=body("Second.", needs="tests", criteria=()))
    await world.alice.edits_issue(issue, body=body("Third.", needs="tests", criteria=()))
    await world.settle()
    assert (await world.task(issue)).intake.goal == "Third."
    world.ignore_writes("only the outcome matters")


async def test_closed_and_reopened_out_of_order(world: World) -> None:
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    world.clock.advance(5)
    world.hub.faults.reorder(2)
    await world.alice.closes(issue, reason="not_planned")
    world.clock.advance(5)
    await world.alice.reopens(issue)
    await world.settle()
    assert world.status(issue) == "pending"
    world.ignore_writes("only the outcome matters")


async def test_the_merge_event_arrives_after_that_of_the_closed_issue(world: World) -> None:
    """GitHub closes the issue by the closing word, and says so before it tells of the merge."""
    await world.configures(config(merge={"auto": False}))
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    world.hub.faults.delay("pull_request", "closed", seconds=30)
    await world.alice.merges(world.pull)
    await world.settle()
    assert world.status(issue) == "done"
    pull = (await world.task(issue)).pull
    assert pull is not None
    assert pull.merged
    assert world.written() == ["#1 labels status:done", "#1 card edited"]
    await world.advance(seconds=30)
    assert world.written() == []


async def test_the_end_of_the_run_overtakes_the_pull_request(world: World) -> None:
    codex = world.agent("codex", WritesFiles(TAX))
    world.hub.faults.delay("pull_request", "opened", seconds=60)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 1
    assert world.written() == delivery_lines(1, 2, "codex", card="card")
    await world.advance(seconds=60)
    assert world.written() == []


async def test_the_event_of_failed_ci_arrives_after_the_next_attempt(world: World) -> None:
    """The checks were read with the pull request; the delivery about them is old when it comes."""
    ends = iter([ScriptedResult.failure(log="E   boom")])
    world.ci(lambda run: next(ends, ScriptedResult.success()))
    codex = world.agent("codex", WritesFiles(TAX, fixes={"shop/tax.py": "RATE = 0.07\n"}))
    world.hub.faults.delay("check_suite", "completed", seconds=90, times=2)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 2
    assert world.written().count("#2 comment: CI failed: test") == 1
    await world.advance(seconds=90)
    assert world.written() == []


async def test_many_workers_make_the_same_end(world: World) -> None:
    """Four jobs at a time, everything twice and in no order: the end is the same, and no comment comes twice."""
    world.workers = 4
    codex = world.agent("codex", WritesFiles(TAX))
    world.hub.faults.duplicate(times=1000)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.hub.faults.clear()
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 1
    written = world.written()
    assert written.count("#1 card") == 1
    assert [line for line in written if line.startswith(("dispatch", "merge"))] == [
        "dispatch task/1-1 to codex",
        "merge #2",
    ]
