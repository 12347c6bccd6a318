"""An issue becomes merged code, and nobody copies text."""

from sandbox.agents import WritesFiles
from tests.scenarios.world import World, body


async def test_an_issue_becomes_merged_code(world: World) -> None:
    codex = world.agent("codex", WritesFiles({"shop/tax.py": "RATE = 0.19\n"}))
    issue = await world.alice.opens_issue(world.shop, "Add the tax rate", body(needs="tests"), labels=["task"])
    await world.settle()

    print("\n".join(world.written()))
    assert world.status(issue) == "done"
    assert issue.state == "closed"
    assert world.shop.git.read("main", "shop/tax.py") == "RATE = 0.19\n"
    assert codex.works[0].packet["goal"] == "Make it so."
