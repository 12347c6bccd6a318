"""Tasks that wait for others, and the order in which the queue is handed out."""

from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World
from tests.scenarios.writes import delivery_lines


def _writes(name: str) -> WritesFiles:
    return WritesFiles({f"shop/{name}.py": f"# {name}\n"})


async def test_a_chain_of_three_is_done_in_its_order(world: World) -> None:
    codex = world.agent("codex", _writes("part"))
    third = await world.files("Third", body("Do the third.", needs="tests", depends_on="#2"))
    assert "which does not exist" in world.card(third)
    second = await world.files("Second", body("Do the second.", needs="tests", depends_on="#3"))
    assert world.status(third) == "ready"  # it exists now
    assert "The task waits for #2." in world.card(third)
    first = await world.files("First", body("Do the first.", needs="tests"))

    assert [world.status(issue) for issue in (first, second, third)] == ["done"] * 3
    assert [work.task for work in codex.work_items] == [3, 2, 1]
    [built_on] = codex.work_items[1].packet["dependencies"]
    assert (built_on["reference"], built_on["state"], built_on["files"]) == ("#3", "done", ["shop/part.py"])
    world.ignore_writes("only the outcome matters")


async def test_waiting_shows_and_ends(world: World) -> None:
    codex = world.agent("codex", _writes("part"))
    first = await world.files("First", body("Do the first.", needs="tests", criteria=()))
    second = await world.files("Second", body("Do the second.", needs="tests", depends_on="#1"))
    world.ignore_writes("set-up")
    assert "blocked" in second.label_names
    assert codex.work_items == []

    await world.alice.edits_issue(first, body=body("Do the first.", needs="tests"))
    await world.settle()
    assert world.written() == [*delivery_lines(1, 3, "codex"), *delivery_lines(2, 4, "codex")]
    assert (world.status(second), "blocked" in second.label_names) == ("done", False)


async def test_an_ordinary_issue_that_a_task_waits_for(world: World) -> None:
    codex = world.agent("codex", _writes("part"))
    question = await world.alice.opens_issue(world.shop, "Which rate do we take?", "19 % or 7 %?")
    await world.settle()
    assert world.written() == []

    task = await world.files("Add the tax rate", body(needs="tests", depends_on="#1"))
    assert world.written() == ["#2 labels status:ready", "#2 card"]
    assert "Waits for** | #1" in world.card(task)
    assert codex.work_items == []

    await world.alice.closes(question)
    await world.settle()
    assert world.written() == delivery_lines(2, 3, "codex")


async def test_an_ordinary_issue_that_is_reopened_holds_the_task_again(world: World) -> None:
    world.agent("codex", Stalls())
    question = await world.alice.opens_issue(world.shop, "Which rate do we take?")
    await world.alice.closes(question)
    for number in (2, 3):
        await world.files(f"Long work {number}", body(f"Work long on {number}.", needs="tests"))
    task = await world.files("Add the tax rate", body(needs="tests", depends_on="#1"))
    assert "blocked" not in task.label_names
    world.ignore_writes("set-up")

    await world.alice.reopens(question)
    await world.settle()
    assert world.written() == ["#4 labels status:ready", "#4 card edited"]
    assert "blocked" in task.label_names


async def test_the_most_urgent_goes_first_and_among_equals_what_unblocks_most(world: World) -> None:
    """The only agent for documents has one task in hand; five more come in, the most urgent last."""
    claude = world.agent("claude", Stalls())
    busy = await world.files("Long work", body("Work long.", needs="docs"))
    await world.files("Lone page", body("Write a lone page.", needs="docs"))
    await world.files("Foundation", body("Write the foundation.", needs="docs"))
    house = await world.files("House", body("Write the house.", needs="docs", depends_on="#3"))
    for name, priority in (("Soon", "P1"), ("Now", "P0")):
        await world.files(f"{name} a page", body(f"Write it {name}.", needs="docs", priority=priority))
    assert [work.task for work in claude.work_items] == [1]

    claude.script = _writes("page")
    await world.alice.closes(busy, reason="not_planned")
    await world.settle()
    assert [work.task for work in claude.work_items] == [1, 6, 5, 3, 2, 4]
    assert world.status(house) == "done"
    world.ignore_writes("only the outcome matters")


async def test_what_is_too_much_for_the_queue_is_parked_and_taken_in_as_there_is_room(world: World) -> None:
    claude = world.agent("claude", Stalls())
    await world.configures(config(limits={"max_queue_depth": 1}))
    busy = await world.files("Long work", body("Work long.", needs="docs"))
    first, second = [await world.files(f"Page {n}", body(f"Write page {n}.", needs="docs")) for n in (2, 3)]
    urgent = await world.files("Page 4", body("Write page 4.", needs="docs", priority="P0"))
    assert ["parked" in issue.label_names for issue in (first, second, urgent)] == [True, True, False]
    assert "`parked`: The queue is full (1 tasks); the bot adds this task as soon as there is room." in world.card(
        second
    )

    claude.script = _writes("page")
    await world.alice.closes(busy, reason="not_planned")
    await world.settle()
    assert [work.task for work in claude.work_items] == [1, 4, 2, 3]
    assert not any("parked" in issue.label_names for issue in (first, second))
    assert (await world.events(second)).count("task_parked") == 1
    world.ignore_writes("only the outcome matters")
