"""An agent that works in its own way, on a branch of its own and without closing words, is known by its account."""

from sandbox.actors.agents import RandomOutput
from tests.scenarios.shop import body
from tests.scenarios.world import World

CLAUDE = 209825114


async def test_the_pull_request_of_a_known_account_belongs_to_the_task_it_holds(world: World) -> None:
    world.hub.bot("claude[bot]", number=CLAUDE)
    world.agent("claude", RandomOutput(), actor="claude[bot]")
    issue = await world.files("Write the manual", body(needs="docs"))
    assert world.status(issue) == "done"
    assert (await world.task(issue)).attempt == 1
    assert world.shop.git.read("main", "nonsense.txt")
    world.ignore_writes("only the outcome matters")


async def test_a_strange_bot_is_not_taken_for_the_agent(world: World) -> None:
    world.hub.bot("claude[bot]", number=CLAUDE + 1)
    world.agent("claude", RandomOutput(), actor="claude[bot]")
    issue = await world.files("Write the manual", body(needs="docs"))
    task = await world.task(issue)
    assert not task.history[0].pull
    assert task.history[0].reason == "The run ended without a pull request"
    assert world.status(issue) == "failed"
    world.ignore_writes("only the outcome matters")
