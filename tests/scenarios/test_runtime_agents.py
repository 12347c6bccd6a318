"""Agents come and go while the bot runs: no restart, and what is in hand stays in hand."""

from __future__ import annotations

from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import body
from tests.scenarios.world import World

TAX = {"shop/tax.py": "RATE = 0.19\n"}


def answer(world: World) -> str:
    """The newest answer of the bot below the first issue."""
    return world.comments(world.shop.issue(1))[-1].split("\n<!--")[0]


async def test_the_life_of_an_agent_without_a_restart(world: World) -> None:
    """Added for a task that waits for it, drained, taken in again, and removed with a task in hand."""
    desk = await world.alice.opens_issue(world.shop, "Agents", "About our agents.")  # an issue that is no task
    port = await world.files("Port it", body("Port it.", needs="cobol"))
    assert world.status(port) == "pending"
    world.ignore_writes("set-up")

    grace = world.agent("grace", Stalls())
    await world.says(desk, "/agents add grace adapter=actions workflow=agent.yml capabilities=cobol")
    assert world.status(port) == "in-progress"
    assert {"label agent:grace", "dispatch task/2-1 to grace"} <= set(world.written())
    assert len(grace.work_items) == 1

    await world.says(desk, "/agents drain grace")
    late = await world.files("Port that", body("Port that.", needs="cobol"))
    assert (world.status(port), world.status(late)) == ("in-progress", "ready")
    assert "grace draining: it finishes its tasks" in world.card(late)
    await world.says(desk, "/agents", author=world.person("rita", "read"))
    assert "| `grace` | actions | `cobol` | 1 of 1 | draining: it finishes its tasks | run time, by alice" in answer(
        world
    )
    assert "Problems that prevent a start, as of 2026-03-02 09:00 UTC: none." in answer(world)
    world.ignore_writes("the answers about a draining agent")

    await world.says(desk, "/agents set grace max_tasks=2")
    assert world.status(late) == "ready"
    await world.says(desk, "/agents resume grace")
    assert world.status(late) == "in-progress"
    assert len(grace.work_items) == 2
    world.ignore_writes("the start of the waiting task")

    await world.says(desk, "/agents remove grace")
    assert (world.status(port), world.status(late)) == ("in-progress", "in-progress")
    await world.says(late, "/release")  # it is still told to stop
    assert (await world.task(late)).readiness_problems == (
        "No agent has `cobol`; the capabilities of this repository's agents are `docs`, `python`, `tests`.",
    )
    assert world.status(late) == "pending"
    assert "run cancelled" in " ".join(world.written())
    await world.says(late, "/explain 1", author=world.person("rita"))
    told = world.comments(late)[-1]
    assert told.startswith("Attempt 1 went to `grace`.\n\ngrace is the only agent that can take it now (2026-03-02 ")
    assert "| `claude` | \u2013 | excluded: lacks cobol |" in told
    await world.says(late, "/explain 2")
    assert world.comments(late)[-1].startswith("There is no attempt 2. The attempts so far: 1 (`grace`).")
    world.ignore_writes("the answers to /explain")
    assert await world.events(desk) == [
        "agent_registered", "agent_drained", "agent_changed", "agent_resumed", "agent_removed",
    ]  # fmt: skip


async def test_a_change_survives_a_restart(world: World) -> None:
    codex = world.agent("codex", WritesFiles(TAX))
    desk = await world.alice.opens_issue(world.shop, "Agents", "About our agents.")
    await world.says(desk, "/agents remove codex")
    await world.stop()
    await world.start()
    await world.settle()
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "pending"
    assert codex.work_items == []
    world.ignore_writes("only the outcome matters")


async def test_a_stranger_changes_nothing(world: World) -> None:
    desk = await world.alice.opens_issue(world.shop, "Agents", "About our agents.")
    await world.says(desk, "/agents remove codex", author=world.person("mallory", "read"))
    assert world.written() == [
        "#1 reaction confused",
        "#1 comment: `/agents remove` needs write access; you have read access to this repository.",
    ]
    assert await world.events(desk) == []
