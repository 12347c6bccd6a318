"""Several tasks, several agents: each to its limit, never two on one task, and the rest waits in the queue."""

from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import body
from tests.scenarios.world import World
from tests.scenarios.writes import start_lines


def _page(work_of: int) -> WritesFiles:
    return WritesFiles({f"docs/page{work_of}.md": f"Page {work_of}\n"})


async def test_agents_work_up_to_their_limits(world: World) -> None:
    """Codex takes two, claude one; the fourth task waits until one of them is free."""
    codex, claude = world.agent("codex", Stalls()), world.agent("claude", Stalls())
    tasks = [await world.files(f"Module {n}", body(f"Write module {n}.", needs="python")) for n in (1, 2, 3, 4)]
    assert [world.status(task) for task in tasks] == ["in-progress"] * 3 + ["ready"]
    assert (len(codex.work_items), len(claude.work_items)) == (2, 1)
    card = world.card(tasks[3])
    assert "no agent is free: claude is at its limit of 1; codex is at its limit of 2" in card
    world.ignore_writes("set-up")

    freed = (await world.task(tasks[0])).lease
    assert freed is not None
    world.hub.agents[freed.agent].script = _page(4)
    await world.alice.closes(tasks[0])
    await world.settle()
    assert world.status(tasks[3]) == "done"
    assert [line for line in world.written() if line.startswith("dispatch")] == [f"dispatch task/4-1 to {freed.agent}"]


async def test_two_tasks_at_once_are_merged_one_after_the_other(world: World) -> None:
    world.agent("codex", _page(1))
    world.agent("claude", _page(2))
    one = await world.alice.opens_issue(world.shop, "One", body("Write one.", needs="tests"), labels=["task"])
    two = await world.alice.opens_issue(world.shop, "Two", body("Write two.", needs="docs"), labels=["task"])
    await world.settle()
    assert (world.status(one), world.status(two)) == ("done", "done")
    assert world.shop.git.read("main", "docs/page1.md") == "Page 1\n"
    assert world.shop.git.read("main", "docs/page2.md") == "Page 2\n"
    written = world.written()
    assert sorted(line for line in written if line.startswith("dispatch")) == [
        "dispatch task/1-1 to codex",
        "dispatch task/2-1 to claude",
    ]
    assert len([line for line in written if line.startswith("merge ")]) == 2


async def test_wishes_decide_between_agents(world: World) -> None:
    codex, claude = world.agent("codex", Stalls()), world.agent("claude", Stalls())
    issue = await world.files("Add the tax rate", body(needs="python", wishes="tests"))
    assert world.written() == [*start_lines(1, "codex", card="card"), "#1 card edited"]
    assert (len(codex.work_items), len(claude.work_items)) == (1, 0)
    assert "codex scores" in world.card(issue)


async def test_no_free_agent_counts_as_stalled_after_two_hours(world: World) -> None:
    world.agent("claude", Stalls())
    await world.files("Long work", body("Work long.", needs="docs"))
    issue = await world.files("Write the manual", body(needs="docs"))
    world.ignore_writes("set-up")
    await world.advance(hours=2)
    assert "stalled" in issue.label_names
    assert "- `stalled`: The task is ready, but no agent has taken it." in world.card(issue)
    assert "no agent is free: claude is at its limit of 1" in world.card(issue)
    assert world.written().count("#2 labels status:ready") == 1
