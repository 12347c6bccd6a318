"""People without a role write commands, as many as they like; agents and maintainers notice nothing of it."""

from __future__ import annotations

from sandbox.actors.agents import WritesFiles
from tests.scenarios.shop import body
from tests.scenarios.world import World

COMMANDS = "\n\n".join(("/status", "/help", "/history", "/nonsense", "/agents", "/claim") * 4)


async def test_a_flood_of_commands_gets_few_answers_and_delays_no_agent(world: World) -> None:
    mallory, trudy = world.person("mallory", "read"), world.person("trudy")
    issue = await world.files("A question", "nothing yet", author=mallory)
    world.ignore_writes("the task of a stranger")
    await world.says(issue, COMMANDS, author=mallory)
    assert len(world.written()) == 2
    [answer] = world.comments(issue)
    assert "The bot ran only the first command of this comment" in answer

    writes = 0
    for _ in range(14):
        await world.says(issue, COMMANDS, author=mallory)
        await world.advance(seconds=30)
        writes += len(world.written())
    answers = world.comments(issue)
    assert (len(answers), writes) == (11, 20), "ten of an hour, and one that says so"
    assert "it answers 10 comments an hour" in answers[-1]
    assert "Try again after 2026-03-02 10:00 UTC" in answers[-1]

    for _ in range(4):  # a few strangers at once: those beyond a share of the minute wait for the next
        await world.says(issue, "/status", author=trudy)
    await world.advance(minutes=2)
    assert len(world.written()) == 8

    codex = world.agent("codex", WritesFiles({"shop/tax.py": "RATE = 0.19\n"}))
    task = await world.files("Add the tax rate", body(needs="tests"))
    await world.says(issue, "/help\n\n/agents")
    assert (world.status(task), len(codex.work_items)) == ("done", 1)
    assert [line for line in world.written() if line.startswith("#1 ")][:1] == ["#1 reaction eyes"]
    assert len(world.comments(issue)) == 11 + 4 + 2, "a maintainer has as many answers as commands"

    await world.advance(minutes=60)
    await world.says(issue, "/status", author=mallory)
    assert len(world.written()) == 2
