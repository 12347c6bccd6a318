"""What people do with issues, labels and pull requests is an instruction, and wins."""

from sandbox import ScriptedResult
from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World
from tests.scenarios.writes import delivery_lines, merge_lines, start_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}
BEGUN = "#1 card edited"  # the news that the run began


async def test_a_pull_request_closed_unmerged_goes_back_to_the_queue(world: World) -> None:
    await world.configures(config(merge={"auto": False}))
    codex = world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    codex.script = Stalls()
    await world.alice.closes_pull(world.pull)
    await world.settle()

    assert world.status(issue) == "in-progress"
    assert world.written() == [
        "dispatch task/1-2 to codex",
        "#2 comment: The pull request was closed without being merged",
        "#1 labels status:in-progress",
        "#1 card edited",
        BEGUN,
    ]
    assert codex.work_items[1].packet["history"][0]["reason"] == "The pull request was closed without being merged"


async def test_a_person_merges_while_ci_runs(world: World) -> None:
    world.ci(lambda run: ScriptedResult.success(seconds=60))
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    await world.alice.merges(world.pull)
    await world.settle()
    assert world.status(issue) == "review"  # merged, but its checks have not ended
    world.ignore_writes("the merge")

    await world.advance(seconds=60)
    assert world.status(issue) == "done"
    assert world.written() == ["#1 labels status:done", "#1 card edited"]


async def test_a_person_merges_what_is_not_done(world: World) -> None:
    """Merged by a person with a criterion open: the task says what is missing, and is done when it is ticked."""
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests", ticked=False))
    await world.alice.merges(world.pull)
    await world.settle()
    world.ignore_writes("set-up")
    assert world.status(issue) == "review"
    assert "not ticked" in world.card(issue)

    await world.alice.edits_issue(issue, body=body(needs="tests"))
    await world.settle()
    assert world.status(issue) == "done"
    assert world.written() == ["#1 labels status:done", "#1 card edited"]


async def test_closed_as_not_planned_stops_the_work(world: World) -> None:
    codex = world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    await world.alice.closes(issue, reason="not_planned")
    await world.settle()
    assert world.written() == ["run cancelled", "#1 labels status:failed", "#1 card edited"]
    assert (await world.task(issue)).lease is None

    codex.script = WritesFiles(TAX)
    await world.alice.reopens(issue)
    await world.settle()
    assert world.written() == delivery_lines(1, 2, "codex", attempt=2)
    assert "task_reopened" in await world.events(issue)


async def test_done_set_by_label(world: World) -> None:
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    await world.alice.labels(issue, "status:done")
    await world.settle()
    assert world.written() == [
        "run cancelled",
        '#1 {"state": "closed", "state_reason": "completed"}',
        "#1 labels status:done",
        "#1 card edited",
    ]
    assert issue.state == "closed"


async def test_ready_set_by_label_takes_the_task_from_its_agent(world: World) -> None:
    codex = world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    await world.alice.labels(issue, "status:ready")
    await world.settle()
    assert world.status(issue) == "in-progress"
    assert len(codex.work_items) == 2
    assert (await world.task(issue)).attempt == 2
    assert world.written() == ["run cancelled", *start_lines(1, "codex", attempt=2), BEGUN]


async def test_a_status_that_only_work_can_bring_is_put_right(world: World) -> None:
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    world.ignore_writes("set-up")
    await world.alice.labels(issue, "status:review")
    await world.settle()
    assert world.status(issue) == "pending"
    assert world.written() == ["#1 labels status:pending"]


async def test_priority_class_and_capabilities_by_label(world: World) -> None:
    await world.configures(config(priorities={"critical": "P0"}))
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=(), priority="P1"))
    world.ignore_writes("set-up")
    for act, priority in ((world.alice.labels, "P0"), (world.alice.unlabels, "P1")):
        await act(issue, "critical")
        await world.settle()
        assert {"P0", "P1", "P2"} & set(issue.label_names) == {priority}
    for label, priority in (("P2", "P2"), ("critical", "P0"), ("P2", "P2")):
        await world.alice.labels(issue, label)
        await world.settle()
        assert {"P0", "P1", "P2"} & set(issue.label_names) == {priority}, "what was said last"
    assert "critical" in issue.label_names
    await world.alice.labels(issue, "type:non-functional")
    await world.settle()
    assert [name for name in issue.label_names if name.startswith("type:")] == ["type:non-functional"]
    assert "set by @" in world.card(issue)
    await world.alice.labels(issue, "needs:docs")
    await world.settle()
    await world.alice.unlabels(issue, "needs:tests")
    await world.settle()
    assert (await world.task(issue)).required_capabilities == ("docs",)
    assert (await world.events(issue)).count("instruction") == 8
    assert set(world.written()) == {"#1 labels status:pending", "#1 card edited"}


async def test_without_the_label_task_we_keep_our_hands_off(world: World) -> None:
    codex = world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    await world.alice.unlabels(issue, "task")
    await world.settle()
    assert world.written() == ["run cancelled", "#1 card edited"]
    await world.alice.edits_issue(issue, body="Something else entirely.")
    await world.alice.labels(issue, "P0")
    await world.settle()
    await world.advance(hours=9)
    assert world.written() == []

    codex.script = WritesFiles(TAX)
    await world.alice.edits_issue(issue, body=body(needs="tests"))
    await world.alice.labels(issue, "task")
    await world.settle()
    assert world.status(issue) == "done"
    world.ignore_writes("the attempt and merge")


async def test_a_person_opens_the_pull_request_himself(world: World) -> None:
    """No agent was free; bob wrote it meanwhile, on a branch of his own."""
    world.agent("claude", Stalls())
    await world.files("Write the manual", body("Keep the agent busy.", needs="docs"))
    issue = await world.files("Add the tax rate", body(needs="docs"))
    assert world.status(issue) == "ready"
    world.ignore_writes("set-up")

    bob = world.person("bob", "write")
    await bob.pushes(world.shop, "bobs-tax", TAX)
    await bob.opens_pull(world.shop, head="bobs-tax", title="Tax", body="Closes #2")
    await world.settle()
    assert world.status(issue) == "done"
    assert world.written() == ["check conflict-first: success", *merge_lines(2, 3)]
