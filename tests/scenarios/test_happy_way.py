"""An issue becomes merged code, and nobody copies text."""

from sandbox.agents import WritesFiles
from tests.scenarios.shop import body
from tests.scenarios.world import World


async def test_an_issue_becomes_merged_code(world: World) -> None:
    codex = world.agent("codex", WritesFiles({"shop/tax.py": "RATE = 0.19\n"}))

    issue = await world.files("Add the tax rate", body(needs="tests"), "bug")

    print("\n".join(world.written()))
    print(await world.events(issue))
    print(world.card(issue))
    assert world.status(issue) == "done"
    assert issue.state == "closed"
    assert world.shop.git.read("main", "shop/tax.py") == "RATE = 0.19\n"
    assert codex.works[0].packet["goal"] == "Make it so."
