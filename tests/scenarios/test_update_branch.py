"""A branch is brought up to date with its base: a button, a command, or the configuration asks for it."""

from __future__ import annotations

from sandbox.actors.agents import COPILOT_ID, COPILOT_LOGIN, AgentWork, CloudAgent, WritesFiles
from sandbox.services import checks
from sandbox.state.models import CheckRun
from tests.scenarios.shop import CONFIG_PATH, body, config
from tests.scenarios.world import World
from tests.scenarios.writes import merge_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}
LAW = {"docs/law.md": "The rate is 19 %.\n"}


def shown(world: World) -> CheckRun:
    """The check of the newest pull request; of several runs with one name GitHub shows the last."""
    return [run for run in world.shop.check_runs(world.pull.head_sha) if run.name == "conflict-first"][-1]


async def test_rebase_is_pressed_on_a_branch_that_is_behind(world: World) -> None:
    """It waits for another pull request in the same lines; main has moved, in others."""
    await world.configures(config(merge={"auto": False}))
    world.agent("codex", WritesFiles({"shop/tax.py": "RATE = 0.07\n"}))
    world.agent("claude", WritesFiles(TAX))
    await world.files("Add the reduced rate", body(needs="tests"))
    issue = await world.files("Add the tax rate", body(needs="docs"))
    before = world.pull.head_sha
    law = await world.alice.pushes(world.shop, "main", LAW, "Quote the law")
    await world.settle()
    check = shown(world)
    assert [action["label"] for action in check.actions] == ["Rebase", "Hold", "Ignore for a day"]
    world.ignore_writes("set-up")

    # A user without write access still sees the button on an open page.
    checks.request_action(world.hub, check, "rebase", world.person("rita", "read"))
    await world.settle()
    assert world.written() == [
        "#4 comment: @rita: `/resolve rebase` needs write access; you have read access to this repository."
    ]
    assert world.pull.head_sha == before

    await world.alice.presses(check, "hold")
    await world.settle()
    assert "#4 comment: @alice: #3 is paused. To continue, comment `/resume`." in world.written()
    assert "Paused by alice" in world.card(issue)
    await world.says(issue, "/resume")
    world.ignore_writes("the answer to /resume")

    # GitHub does it, and its answer is lost.
    world.hub.faults.fail_response("pulls/update-branch", "500-done")
    await world.alice.presses(check, "rebase")
    await world.settle()
    await world.advance(seconds=5)
    written = world.written()
    assert [line for line in written if "check" not in line and "card" not in line] == [
        "pulls/update-branch 4/update-branch (refused: 500)"
    ]
    assert "check conflict-first: failure" in written, "of the new commit, and with buttons of its own"
    merge = await world.shop.git.commit(world.pull.head_sha)
    assert (merge.parents, merge.author.name) == ((before, law), "mcp-orchestrator[bot]")
    assert world.shop.git.read("task/3-1", "docs/law.md") == LAW["docs/law.md"]
    ran = [run for run in world.shop.check_runs(world.pull.head_sha) if run.name == "test"]
    assert [run.conclusion for run in ran] == ["success"], "CI has judged the new commit"

    # The press is delivered again; it is pressed again, on the earlier commit; it is asked for where nothing is to do.
    pressed = [d for d in world.hub.deliveries if d.event == "check_run" and d.action == "requested_action"]
    await world.hub.redeliver(pressed[-1].guid)
    await world.settle()
    assert world.written() == []
    await world.alice.presses(check, "rebase")
    await world.settle()
    [told] = world.written()
    assert told.startswith(f"#4 comment: @alice: That button belongs to an earlier commit, `{before[:8]}`")
    await world.says(world.pull.issue, "/resolve rebase")
    assert world.written() == [
        "#4 reaction eyes",
        "#4 reaction rocket",
        "pulls/update-branch 4/update-branch (refused: 422)",
        "#4 reaction confused",
        "#4 comment: `task/3-1` already contains all of `main`, so there is nothing to merge.",
    ]

    # From now on it follows main by itself: to the commit that says so, and no further than main is.
    says = config(merge={"auto": False, "update": "always"})
    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: says}, "Follow main")
    await world.settle()
    await world.advance(minutes=20)
    updates = sorted(line for line in world.written() if "update-branch" in line)
    assert updates == ["pulls/update-branch 2/update-branch", "pulls/update-branch 4/update-branch"]
    assert world.shop.git.read("task/3-1", CONFIG_PATH) == says
    await world.alice.closes_pull(world.shop.pull(2))
    await world.alice.merges(world.pull)
    await world.settle()
    assert world.status(issue) == "done"
    world.ignore_writes("the merge")


async def test_an_agent_at_work_is_notified_of_the_conflict(world: World) -> None:
    await world.lends_a_token()
    await world.configures(config(agents={"copilot": {"adapter": "copilot", "capabilities": ["python"]}}))
    bot = world.hub.bot(COPILOT_LOGIN, number=COPILOT_ID)

    async def drafts(work: AgentWork) -> None:
        await work.clone()
        work.write("shop/tax.py", TAX["shop/tax.py"])
        await work.commit("Add the tax rate")
        await work.push()
        await work.open_pull("Add the tax rate", f"Closes #{work.task}", draft=True)
        await work.stall()

    world.hub.cloud_agents["copilot"] = CloudAgent(bot, drafts, "copilot/fix-{task}-{run}")
    issue = await world.files("Add the tax rate", body(needs="python"))
    head = world.pull.head_sha
    await world.alice.pushes(world.shop, "main", {"shop/tax.py": "RATE = 0.07\n"})
    await world.settle()
    assert "check conflict-first: failure" in world.written()
    check = shown(world)
    assert [action["label"] for action in check.actions] == ["Rebase", "Hold", "Ignore for a day"]

    await world.alice.presses(check, "rebase")
    await world.settle()
    asked, steered, told = world.written()
    assert asked == "pulls/update-branch 2/update-branch (refused: 422)"
    assert steered.startswith("#2 comment: @copilot `main` has changed while you work on attempt 1")
    assert told.startswith("#2 comment: @alice: `main` cannot be merged into `copilot/fix-1-")
    assert told.endswith("they conflict in `shop/tax.py`.")
    assert (world.status(issue), world.pull.head_sha) == ("in-progress", head)
    assert (await world.task(issue)).attempt == 1, "it is told, and has not failed"

    await world.alice.pushes(world.shop, "main", {"shop/tax.py": None}, "Take that back")
    await world.settle()
    assert world.written()
    assert (shown(world).conclusion, shown(world).actions) == ("success", []), "there is nothing to press any more"


async def test_a_branch_that_must_be_up_to_date_is_brought_there_when_github_says_so(world: World) -> None:
    """Main takes only what is up to date with it, and something went in while the agent was at work."""
    world.shop.strict_branches.add("main")
    await world.configures(config(merge={"auto": True, "update": "needed"}))
    world.agent("codex", WritesFiles(TAX), think_seconds=60)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    await world.alice.pushes(world.shop, "main", LAW, "Quote the law")
    await world.advance(seconds=60)
    assert world.status(issue) == "done"
    assert [line for line in world.written() if not line.startswith("check")] == [
        "merge #2 (refused: 409)",
        "pulls/update-branch 2/update-branch",
        "#1 labels status:review",
        "#1 card edited",
        *merge_lines(1, 2),
    ]
