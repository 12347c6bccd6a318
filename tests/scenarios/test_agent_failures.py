"""Agents crash, fall silent, come late, cannot be started: the task finds its way without a person."""

from sandbox.actors.agents import AgentWork, Crashes, FinishesWithoutPull, RandomOutput, Stalls, WritesFiles
from tests.scenarios.shop import WORKFLOWS, body, config
from tests.scenarios.world import World
from tests.scenarios.writes import merge_lines, start_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}


async def test_an_agent_crashes(world: World) -> None:
    """The same agent gets a second chance, with the reason; after that another one."""
    claude = world.agent("claude", Crashes())
    codex = world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="python"))

    assert [work.attempt for work in claude.work_items] == [1, 2]
    [work] = codex.work_items
    assert work.attempt == 3
    assert work.packet["feedback"]["title"] == "The run ended with failure"
    assert [(a["agent"], a["outcome"]) for a in work.packet["history"]] == [("claude", "failed")] * 2
    assert world.status(issue) == "done"
    written = world.written()
    assert written.count("#1 comment: The run ended with failure") == 2
    assert written[-3:] == merge_lines(1, 2)


async def test_an_agent_finishes_without_a_pull_request(world: World) -> None:
    codex = world.agent("codex", FinishesWithoutPull(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "failed"
    assert len(codex.work_items) == 3
    assert world.written().count("#1 comment: The run ended without a pull request") == 3
    assert "no pull request from the agreed branch" in world.comments(issue)[0]


async def test_a_pull_request_that_names_no_task_is_none_of_ours(world: World) -> None:
    world.agent("codex", RandomOutput())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "failed"
    assert all(pull.issue.state == "open" for pull in world.shop.pulls())
    checks = {line for line in world.written() if line.startswith("check ")}
    # All three have the same commit, on which each says its own.
    assert checks - {"check updated: success"} == {"check conflict-first: success"}, "they are only compared"


async def test_an_agent_that_never_begins(world: World) -> None:
    """The dispatch was accepted, but nothing listens to it: the acknowledgement does not come."""
    await world.alice.pushes(world.shop, "main", {".github/workflows/agent.yml": "on: workflow_dispatch\njobs: {}\n"})
    await world.settle()
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "in-progress"
    assert world.written() == start_lines(1, "codex", card="card")

    await world.advance(minutes=2)  # it is asked, and nothing is found of it
    assert "#1 comment: codex could not be started" in world.written()
    assert "No workflow on `main` listens to `agent-task`" in world.comments(issue)[0]
    assert "agent_failed" in await world.events(issue)
    assert world.status(issue) == "ready"  # no other agent has `tests`, and codex is left alone for a while
    await world.advance(minutes=2)
    assert world.written() == start_lines(1, "codex", 2)


async def test_an_agent_that_never_begins_is_replaced(world: World) -> None:
    """Nothing seems to be missing, but no run of codex is one that it can be known by."""
    workflow = WORKFLOWS[".github/workflows/agent.yml"]
    for name in ("task", "attempt"):
        workflow = workflow.replace(f"github.event.client_payload.{name} || ", "")
    await world.alice.pushes(world.shop, "main", {".github/workflows/agent.yml": workflow})
    await world.configures(config(scoring={"priority": 0, "capability": 0, "load": 1, "fairness": 0}))
    claude = world.agent("claude", Stalls())
    await world.files("Keep claude busy", body("Keep claude busy.", needs="docs"))
    issue = await world.files("Add the tax rate", body(needs="python"))
    assert world.written()[-3:] == start_lines(2, "codex", card="card")
    claude.script = WritesFiles(TAX)
    await world.alice.closes(world.shop.issue(1))
    await world.settle()
    world.ignore_writes("the task of the free agent")

    await world.advance(minutes=2)
    await world.advance(seconds=30)
    assert world.status(issue) == "done"
    assert world.written() == [
        "dispatch task/2-2 to claude",
        "#2 comment: codex did not start",
        "#2 labels status:in-progress",
        "#2 card edited",
        "check conflict-first: success",
        *merge_lines(2, 3),
    ]
    assert claude.work_items[-1].packet["feedback"]["title"] == "codex did not start"


async def test_silence_is_asked_about_before_it_is_a_failure(world: World) -> None:
    """The run goes on, and says so when asked: a quiet agent at work is left alone."""
    codex = world.agent("codex", WritesFiles(TAX), think_seconds=25 * 60)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    for _ in range(2):
        await world.advance(minutes=10)
        assert world.status(issue) == "in-progress"
        assert world.written() == []
    await world.advance(minutes=5)
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 1
    assert world.written() == ["check conflict-first: success", *merge_lines(1, 2)]


async def test_an_agent_that_works_for_ever_is_stopped(world: World) -> None:
    await world.configures(config(timeouts={"stall": "8h"}))
    claude = world.agent("claude", Stalls())
    codex = world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="python"))
    world.ignore_writes("set-up")
    for _ in range(8 * 2):
        await world.advance(minutes=30)
    assert world.status(issue) == "done"
    assert claude.work_items[0].job.run.conclusion == "cancelled"
    assert codex.work_items[0].packet["feedback"]["title"] == "claude did not finish"
    written = world.written()
    assert "run cancelled" in written
    assert written.count("#1 comment: claude did not finish") == 1
    assert written[-3:] == merge_lines(1, 2)


async def test_what_a_late_agent_hands_in_is_recorded_and_not_applied(world: World) -> None:
    """The first agent wakes up after its task went to another one."""

    async def sleeps_then_delivers(work: AgentWork) -> None:
        await work.clone()
        work.write("shop/tax.py", "RATE = 0\n")
        await work.commit("Late")
        await work.push()

    claude = world.agent("claude", sleeps_then_delivers)
    codex = world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="python"))
    assert (len(claude.work_items), len(codex.work_items)) == (2, 1)  # it finished twice without a pull request
    assert (await world.task(issue)).attempt == 3
    world.ignore_writes("two attempts that ended too late")

    bot = world.person("late-claude", "write")
    await bot.opens_pull(world.shop, head="task/1-1", title="Late", body="Closes #1")
    await world.settle()
    assert world.status(issue) == "in-progress"
    assert world.written() == []
    assert (await world.events(issue))[-1] == "late_result"
    assert (await world.task(issue)).pull is None


async def test_the_workflow_file_is_missing(world: World) -> None:
    await world.alice.pushes(world.shop, "main", {".github/workflows/agent.yml": None})
    await world.settle()
    issue = await world.files("Write the manual", body(needs="docs"))
    assert world.status(issue) == "ready"
    await world.advance(minutes=2)
    await world.advance(minutes=4)
    assert world.status(issue) == "failed"
    assert "There is no `.github/workflows/agent.yml` on `main`: add the agent workflow." in world.comments(issue)[0]
    assert "claude could not be started" in world.card(issue)
    world.ignore_writes("only the outcome matters")


async def test_a_workflow_that_takes_no_inputs(world: World) -> None:
    await world.alice.pushes(world.shop, "main", {".github/workflows/agent.yml": "on: workflow_dispatch\njobs: {}\n"})
    await world.settle()
    issue = await world.files("Write the manual", body(needs="docs"))
    assert "lacks inputs of `workflow_dispatch`: add `task`" in world.comments(issue)[0]
    world.ignore_writes("only the outcome matters")
