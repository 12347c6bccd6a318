"""Conflict-first: what cannot be merged is found by a real merge, and goes back before anybody loses work."""

from sandbox.agents import AgentWork, WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World
from tests.scenarios.writes import handed_in, merged

CART = "shop/cart.py"
OLD = "def total(prices):\n    return sum(prices)\n"


def _with(line: str) -> WritesFiles:
    """Writes the cart anew, with this line for its second."""
    return WritesFiles({CART: f"def total(prices):\n    {line}\n"})


async def test_the_second_of_two_that_edit_the_same_lines_goes_back(world: World) -> None:
    await world.configures(config(merge={"auto": False}))
    world.agent("codex", _with("return round(sum(prices), 2)"))
    claude = world.agent("claude", _with("return sum(prices) * 1.19"))
    one = await world.files("Round the total", body("Round it.", needs="tests"))
    two = await world.files("Tax in the total", body("Tax it.", needs="docs"))
    first, second = world.shop.pulls()
    assert (world.status(one), world.status(two)) == ("review", "review")
    assert world.check("conflict-first").conclusion == "success"
    world.written()

    async def on_top(work: AgentWork) -> None:
        await WritesFiles({CART: lambda old: old.replace("sum(prices)", "sum(prices) * 1.19")})(work)

    claude.script = on_top
    await world.alice.merges(first)
    await world.settle()

    assert (world.status(one), world.status(two)) == ("done", "review")
    assert world.written() == [
        "#1 labels status:done",
        "#1 card edited",
        "dispatch task/3-2 to claude",
        "#4 comment: The branch conflicts with main",
        "check updated: failure",
        "#3 labels status:in-progress",
        "#3 card edited",
        *handed_in(3, "check definition-of-done: success", '#4 {"state": "closed"}'),
    ]
    [check] = [run for run in world.shop.check_runs(second.head_sha) if run.name == "conflict-first"]
    assert check.conclusion == "failure"
    assert "`shop/cart.py`" in (check.summary or "")
    feedback = claude.works[1].packet["feedback"]
    assert feedback["title"] == "The branch conflicts with main"
    assert "`shop/cart.py`" in feedback["details"]
    assert "conflict_detected" in await world.events(two)
    assert (await world.task(two)).failures == 0  # nobody's fault

    await world.alice.merges(world.pull)
    await world.settle()
    assert world.shop.git.read("main", CART) == "def total(prices):\n    return round(sum(prices) * 1.19, 2)\n"
    world.written()


async def test_different_lines_of_one_file_both_merge(world: World) -> None:
    await world.alice.pushes(
        world.shop, "main", {CART: OLD + "\n" * 5 + "def count(prices):\n    return len(prices)\n"}
    )
    world.agent("codex", WritesFiles({CART: lambda old: old.replace("sum(prices)", "round(sum(prices), 2)")}))
    world.agent("claude", WritesFiles({CART: lambda old: old.replace("len(prices)", "len(set(prices))")}))
    await world.alice.opens_issue(world.shop, "Round", body("Round it.", needs="tests"), labels=["task"])
    await world.alice.opens_issue(world.shop, "Count", body("Count it.", needs="docs"), labels=["task"])
    await world.settle()
    assert [world.status(world.shop.issue(n)) for n in (1, 2)] == ["done", "done"]
    cart = world.shop.git.read("main", CART)
    assert "round(sum(prices), 2)" in cart
    assert "len(set(prices))" in cart
    assert not any("conflict" in line and "success" not in line for line in world.written())


async def test_a_branch_that_conflicts_from_the_start(world: World) -> None:
    """Main moved while the agent worked; GitHub starts no CI for such a pull request, but we need not wait for that."""

    async def slow(work: AgentWork) -> None:
        await work.clone()
        work.write(CART, "def total(prices):\n    return sum(prices) * 2\n")
        await work.commit("Double")
        await work.think(60)
        await work.push()
        await work.open_pull("Double", f"Closes #{work.task}")

    codex = world.agent("codex", slow)
    issue = await world.files("Double the total", body(needs="tests"))
    codex.script = WritesFiles({CART: lambda old: old.replace("sum(prices)", "2 * sum(prices)")})
    await world.alice.pushes(world.shop, "main", {CART: "def total(prices):\n    return round(sum(prices))\n"})
    await world.later(seconds=60)

    assert world.status(issue) == "done"
    written = world.written()
    assert "check conflict-first: failure" in written
    assert "#2 comment: The branch conflicts with main" in written
    assert written[-3:] == merged(1, 3)
    assert world.shop.git.read("main", CART) == "def total(prices):\n    return round(2 * sum(prices))\n"
