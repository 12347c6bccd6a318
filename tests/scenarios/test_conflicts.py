"""Conflict-first: what cannot be merged is found by a real merge, and goes back before anybody loses work."""

from core.signals.base import BaseMoved
from sandbox import ScriptedResult
from sandbox.actors.agents import AgentWork, Stalls, WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World
from tests.scenarios.writes import merge_lines

CART = "shop/cart.py"
OLD = "def total(prices):\n    return sum(prices)\n"


def _with(line: str) -> WritesFiles:
    """Rewrites the cart, with this line as its second."""
    return WritesFiles({CART: f"def total(prices):\n    {line}\n"})


async def test_the_later_of_two_that_edit_the_same_lines_waits_and_is_fixed(world: World) -> None:
    world.agent("codex", _with("return round(sum(prices), 2)"))
    claude = world.agent("claude", _with("return sum(prices) * 1.19"))
    one = await world.files("Round the total", body("Round it.", needs="tests", ticked=False))
    two = await world.files("Tax in the total", body("Tax it.", needs="docs"))
    first, second = world.shop.pulls()
    assert (world.status(one), world.status(two)) == ("review", "review")
    written = world.written()
    assert written.count("check conflict-first: success") == 1
    assert written.count("check conflict-first: failure") == 1
    assert not [line for line in written if line.startswith("merge")]

    check = world.check_of(second)
    assert (check.conclusion, check.title) == ("failure", f"Waits for #{first.number}: conflict in 1 file")
    assert "| `shop/cart.py` | contents | 2 | 2 |" in (check.summary or "")
    assert f"git fetch origin pull/{first.number}/head" in (check.summary or "")
    assert [(a["path"], a["start_line"]) for a in check.annotations] == [(CART, 2)]
    assert [button["identifier"] for button in check.actions] == ["rebase", "hold", "ignore"]
    assert world.check_of(first).title == f"Merges cleanly with main; #{second.number} waits for it"
    assert f"It conflicts with #{first.number} (for #{one.number})" in world.card(two)
    assert "conflict" in two.label_names
    await world.says(two, "/conflicts")
    table = world.comments(two)[-1]
    assert f"| #{first.number} for #{one.number} | \u00b7 | ✕ | ✓ |" in table
    assert f"#{first.number} was opened first" in table
    world.ignore_writes("the answer to /conflicts")

    async def on_top(work: AgentWork) -> None:
        await WritesFiles({CART: lambda old: old.replace("sum(prices)", "sum(prices) * 1.19")})(work)

    claude.script = on_top
    await world.alice.edits_issue(one, body=body("Round it.", needs="tests"))
    await world.settle()

    assert (world.status(one), world.status(two)) == ("done", "done")
    written = world.written()
    assert written[:2] == ["check updated: success", f"merge #{first.number}"]
    assert f"#{second.number} comment: The branch conflicts with main" in written
    assert not [line for line in written if "refused" in line], "nothing was found out at merge time"
    assert claude.work_items[1].packet["history"][0]["merges"] is False
    feedback = claude.work_items[1].packet["feedback"]
    assert feedback["title"] == "The branch conflicts with main"
    assert "- `shop/cart.py`: lines 2 of the branch, lines 2 of `main`" in feedback["details"]
    assert world.shop.git.read("main", CART) == "def total(prices):\n    return round(sum(prices) * 1.19, 2)\n"
    assert (await world.task(two)).failure_count == 0  # no agent's fault
    kinds = [event.payload["kind"] for event in await world.trail(two) if event.type == "conflict_detected"]
    assert kinds == ["branches", "base"]


async def test_a_pull_request_without_a_task_comes_first_and_closes(world: World) -> None:
    """A person's own pull request is compared as well. The task behind it goes on by itself when that is closed."""
    await world.alice.pushes(world.shop, "rounding", {CART: OLD.replace("sum(prices)", "round(sum(prices))")})
    own = await world.alice.opens_pull(world.shop, title="Round it", head="rounding", base="main")
    await world.settle()
    assert world.written() == ["check conflict-first: success"]

    world.agent("claude", _with("return sum(prices) * 1.19"))
    issue = await world.files("Tax in the total", body("Tax it.", needs="docs"))
    assert world.status(issue) == "review"
    assert world.check_of(world.pull).title == f"Waits for #{own.number}: conflict in 1 file"
    assert "check updated: success" in world.written()
    await world.says(own.issue, "/conflicts")
    assert "✕ conflict" in world.comments(own.issue)[-1]
    world.ignore_writes("the answer to /conflicts")

    await world.alice.closes_pull(own)
    await world.settle()
    assert world.status(issue) == "done"
    assert world.written() == [
        "check conflict-first: success",  # without the remarks on its lines, which only a new run can drop
        "check updated: success",
        *merge_lines(issue.number, world.pull.number),
    ]


async def test_a_person_lets_a_conflict_pass_and_every_15_minutes_all_are_compared(world: World) -> None:
    await world.configures(config(merge={"auto": False}))
    world.agent("codex", _with("return round(sum(prices), 2)"))
    world.agent("claude", _with("return sum(prices) * 1.19"))
    await world.files("Round the total", body("Round it.", needs="tests"))
    two = await world.files("Tax in the total", body("Tax it.", needs="docs"))
    first, second = world.shop.pulls()
    assert world.check_of(second).conclusion == "failure"
    await world.alice.presses(world.check_of(second), "ignore")
    await world.settle()
    assert world.check_of(second).conclusion == "success"
    assert "conflict" not in two.label_names
    assert f"@alice: The bot ignores the conflict with #{first.number} until" in world.comments(second.issue)[-1]
    world.ignore_writes("the conflict and the button")

    world.hub.faults.drop("pull_request")  # the closing of the first is missed
    await world.advance(days=1, minutes=1)
    assert world.check_of(second).conclusion == "failure", "the day is over"
    await world.alice.closes_pull(first)
    await world.advance(minutes=16)
    assert world.check_of(second).conclusion == "success"
    world.ignore_writes("the reconciler's trial merge")


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


async def test_a_late_event_of_an_older_base_does_not_block_the_merge(world: World) -> None:
    """The news of the first merge comes after that of the second: no comparison is ever again with that base."""
    world.ci(lambda run: ScriptedResult.success(seconds={"task/1-1": 5, "task/3-1": 20}.get(run.head_branch, 120)))
    world.agent("codex", WritesFiles({"shop/one.py": "ONE = 1\n"}))
    one = await world.files("One", body("One.", needs="tests"))
    world.agent("codex", WritesFiles({"shop/two.py": "TWO = 2\n"}))
    two = await world.files("Two", body("Two.", needs="tests"))
    world.agent("codex", WritesFiles({"shop/three.py": "THREE = 3\n"}))
    three = await world.files("Three", body("Three.", needs="tests"))
    world.hub.faults.delay("pull_request", "closed", seconds=60)
    world.hub.faults.delay("push", seconds=60)
    await world.advance(seconds=30)
    assert [world.status(issue) for issue in (one, two, three)] == ["done", "done", "review"]
    await world.advance(seconds=100)
    assert world.status(three) == "done"
    world.ignore_writes("only the outcome matters")


async def test_a_reported_base_that_never_existed_is_corrected_by_comparison(world: World) -> None:
    """As after a push that was taken back by force: git finds that commit in no history."""
    world.ci(lambda run: ScriptedResult.success(seconds=60))
    world.agent("codex", WritesFiles({"shop/one.py": "ONE = 1\n"}))
    issue = await world.files("One", body("One.", needs="tests"))
    async with world.bot.work.begin(world.shop.id) as unit:
        await unit.apply(issue.number, BaseMoved("main", "f" * 40))
    await world.advance(minutes=5)
    assert world.status(issue) == "review"
    await world.advance(minutes=15)
    assert world.status(issue) == "done"
    world.ignore_writes("only the outcome matters")


async def test_a_merge_that_had_to_wait_is_not_sent_by_a_verdict_that_holds_no_longer(world: World) -> None:
    world.agent("codex", _with("return round(sum(prices), 2)"))
    world.hub.faults.fail_response("pulls/merge", "403-secondary", seconds=60)
    issue = await world.files("Round the total", body("Round it.", needs="tests"))
    assert (await world.task(issue)).status == "review"
    await world.alice.pushes(world.shop, "main", {CART: OLD.replace("return sum(prices)", "return 7")})
    await world.settle()
    world.agent("codex", Stalls())
    await world.advance(minutes=2)
    assert sum(record.operation_id == "pulls/merge" for record in world.hub.requests) == 1, "the one that was refused"
    assert (await world.task(issue)).attempt == 2
    world.ignore_writes("only the outcome matters")


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
    await world.advance(seconds=60)

    assert world.status(issue) == "done"
    written = world.written()
    assert "check conflict-first: failure" in written
    assert "#2 comment: The branch conflicts with main" in written
    assert written[-3:] == merge_lines(1, 3)
    assert world.shop.git.read("main", CART) == "def total(prices):\n    return round(2 * sum(prices))\n"


async def test_the_reconciler_finds_a_missed_push_to_a_base_besides_main(world: World) -> None:
    """A verdict with an unknown base counts once the base was read, whichever branch it is."""
    await world.alice.pushes(world.shop, "release", {"README.md": "# release\n"})
    issue = await world.files("Tax in the total", body("Tax it.", needs="tests, docs"))
    await world.says(issue, "/claim")
    await world.alice.pushes(world.shop, "tax", {CART: OLD.replace("sum(prices)", "sum(prices) * 1.19")})
    await world.alice.opens_pull(
        world.shop, head="tax", base="release", title="Tax it", body=f"Closes #{issue.number}", draft=True
    )
    await world.alice.pushes(world.shop, "release", {"README.md": "# released\n"})  # this delivery arrives
    await world.settle()
    assert world.check_of(world.pull).conclusion == "success"

    world.hub.faults.drop("push")
    await world.alice.pushes(world.shop, "release", {CART: OLD.replace("sum(prices)", "round(sum(prices))")})
    await world.advance(minutes=16)
    assert world.check_of(world.pull).title == "Conflicts with release in 1 file"
    world.ignore_writes("only the outcome matters")
