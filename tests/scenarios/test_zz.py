from sandbox.agents import *
from tests.scenarios.test_ci_red_then_green import _in_turn, _red, BROKEN, FIXED, LOG
from tests.scenarios.shop import body
async def test_a(world):
    await world.alice.pushes(world.shop, "main", {".github/workflows/ci.yml": None})
    await world.settle()
    world.agent("codex", WritesFiles(FIXED))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    print(world.shop.check_runs(world.pull.head_sha), list(world.shop.check_suites.values()))
    print(world.shop.runs)
    print("\n".join(world.written()))
async def test_b(world):
    codex = world.agent("codex", WritesFiles(BROKEN, fixes=FIXED))
    world.ci(_in_turn(_red()))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    print("\n".join(world.written()))
    print(world.card(issue))
    print(world.comments(world.shop.issue(2))[0])
async def test_c(world):
    codex = world.agent("codex", WritesFiles(BROKEN))
    claude = world.agent("claude", WritesFiles(BROKEN))
    world.ci(_in_turn(_red(), _red(), _red()))
    issue = await world.files("Add the tax rate", body(needs="python"))
    print("\n".join(world.written()))
    print(world.card(issue))
    print(world.comments(issue))
