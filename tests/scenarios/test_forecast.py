"""Before anybody begins: a task that would change what another one is changing waits for that one."""

from sandbox.actors.agents import AgentWork, Stalls, WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World

CART = "shop/cart.py"


def _cart(before: str, after: str) -> WritesFiles:
    return WritesFiles({CART: lambda old: old.replace(before, after)})


async def test_the_second_of_two_that_change_one_file_waits_and_then_starts_by_itself(world: World) -> None:
    """One names the file in its form, the other a function that is in it; another file goes side by side."""

    async def slow(work: AgentWork) -> None:
        await work.clone()
        work.write(CART, work.read(CART).replace("sum(prices)", "round(sum(prices), 2)"))
        await work.commit("Round")
        await work.think(60)
        await work.push()
        await work.open_pull("Round", f"Closes #{work.task}")

    world.agent("codex", slow)
    claude = world.agent("claude", WritesFiles({"shop/tax.py": "RATE = 0.19\n"}))
    await world.files("Round the total", body("Round it.", needs="tests", files=CART))
    world.ignore_writes("set-up")

    two = await world.files("Tax in the total", body("`total()` in `cart.py` is to have it.", needs="python"))
    assert world.written() == ["#2 labels status:ready", "#2 card"]
    assert {"status:ready", "blocked"} <= set(two.label_names)
    said = "- `blocked`: Waiting for #1: both will probably change `shop/cart.py`. To start anyway, comment `/unblock`."
    assert said in world.card(two)
    assert "Why no agent yet" not in world.card(two)
    assert (await world.events(two))[-1] == "conflict_detected"

    three = await world.files("The rate of the tax", body("Put it down.", needs="python", files="shop/tax.py"))
    assert world.status(three) == "done"
    world.ignore_writes("the forecast for the third task")

    await world.says(two, "/explain")
    told = world.comments(two)[-1]
    assert "Waiting for #1: both will probably change `shop/cart.py`." in told
    assert "| `shop/cart.py` | 94% | named in the text; `total` is in it |" in told
    await world.says(two, "/claim")
    assert "Waiting for #1" in world.comments(two)[-1]
    world.ignore_writes("the answers to /explain and /claim")

    claude.script = _cart("sum(prices)", "sum(prices) * 1.19")
    await world.advance(seconds=60)
    assert world.status(two) == "done"
    assert [line for line in world.written() if line.startswith(("dispatch", "merge"))] == [
        "merge #5",
        "dispatch task/2-1 to claude",
        "merge #6",
    ]
    assert world.shop.git.read("main", CART) == "def total(prices):\n    return round(sum(prices) * 1.19, 2)\n"
    assert [type_ for type_ in await world.events(two) if "conflict" in type_] == [
        "conflict_detected",
        "conflict_resolved",
    ]


async def test_who_does_not_wait_behind_whom(world: World) -> None:
    """A person lets it go, for good; a P0 waits for nothing less urgent; no task waits for a stalled one."""
    await world.configures(config(merge={"auto": False}, limits={"max_attempts": 1}))
    codex, claude = world.agent("codex", Stalls()), world.agent("claude", Stalls())
    one = await world.files("Round the total", body("Round it.", needs="tests", files=CART))
    two = await world.files("Tax in the total", body("Add it.", needs="docs", files=CART))
    assert "blocked" in two.label_names
    world.ignore_writes("set-up")

    await world.says(two, "/unblock")
    assert world.status(two) == "in-progress"
    assert "dispatch task/2-1 to claude" in world.written()
    await world.says(two, "/release")  # back in the line, and not held behind the same task again
    assert world.status(two) == "in-progress"
    assert "dispatch task/2-2 to claude" in world.written()
    await world.alice.closes(two)
    await world.settle()
    world.ignore_writes("the closing")

    urgent = await world.files("The total is wrong", body("Fix it.", needs="docs", files=CART, priority="P0"))
    assert world.status(urgent) == "in-progress"
    await world.alice.closes(urgent)
    await world.settle()
    world.ignore_writes("the P0 and its closing")

    later = await world.files("Count the total", body("Count it.", needs="docs", files=CART))
    assert "blocked" in later.label_names
    world.ignore_writes("the start of the later task")
    await world.says(one, "/pause the customer has to be asked")
    assert world.status(later) == "in-progress"
    assert "dispatch task/4-1 to claude" in world.written()
    assert (len(codex.work_items), len(claude.work_items)) == (1, 4)
    await world.alice.closes(later)
    await world.settle()

    # Another text may be no reason any more to wait.
    await world.says(one, "/resume")
    last = await world.files("Sum it up", body("Sum it up.", needs="docs", files=CART))
    assert "blocked" in last.label_names
    await world.alice.edits_issue(last, body=body("Sum it up.", needs="docs", files="shop/sums.py"))
    await world.settle()
    assert world.status(last) == "in-progress"
    world.ignore_writes("the edit of the last task")
