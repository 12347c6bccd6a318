"""GitHub's own dependencies and sub-issues, and dependencies on other repositories."""

from adapters.database import store
from core.task.model import Task
from sandbox.actors.agents import Stalls, WritesFiles
from sandbox.services.installations import add_repositories
from sandbox.services.labels import add_label
from sandbox.state.models import Issue, Repository
from tests.scenarios.shop import FILES, body
from tests.scenarios.world import World, story_fixture
from tests.scenarios.writes import delivery_lines


@story_fixture
async def web(world: World) -> Repository:
    """A second repository of the same installation."""
    web = world.hub.repository("acme/web", files=dict(FILES))
    world.hub.grant(web, world.alice, "maintain")
    for label in [one for key, one in world.shop.labels.items() if key not in web.labels]:
        add_label(world.hub, web, label.name, label.color, label.description)
    add_repositories(world.hub, world.installation, [web], sender=world.alice)
    await world.advance(minutes=61)  # the App's token reaches only what was there when it was made
    await world.settle()
    return web


async def test_a_task_waits_for_what_blocks_it_on_github(world: World) -> None:
    codex = world.agent("codex", WritesFiles({"shop/part.py": "# part\n"}))
    question = await world.alice.opens_issue(world.shop, "Which rate?")
    task = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    await world.alice.blocks(task, blocker=question)
    await world.settle()
    assert "Waits for** | #1" in world.card(task)
    await world.alice.edits_issue(task, body=body(needs="tests", depends_on="#1"))
    await world.settle()
    assert codex.work_items == []
    world.ignore_writes("set-up")

    await world.alice.unblocks(task, blocker=question)  # the text still says so, but removing it there is deliberate
    await world.settle()
    assert world.written() == delivery_lines(2, 3, "codex")


async def test_a_parent_waits_for_its_sub_issues_whatever_their_text_says(world: World) -> None:
    world.agent("codex", WritesFiles({"shop/part.py": "# part\n"}))
    parent = await world.files("The whole", body("Finish the whole.", needs="tests", criteria=()))
    ordinary = await world.alice.opens_issue(world.shop, "Ask the lawyers")
    child = await world.files("A part", body("Do a part.", needs="tests", depends_on="#1"))
    await world.alice.adds_sub_issue(parent, ordinary)
    await world.alice.edits_issue(parent, body=body("Finish the whole.", needs="tests"))
    await world.settle()
    assert [world.status(issue) for issue in (parent, child)] == ["ready", "ready"]

    await world.alice.adds_sub_issue(parent, child)  # which waited for its parent until now
    await world.settle()
    assert [world.status(issue) for issue in (parent, child)] == ["ready", "done"]
    assert "Waits for** | #2" in world.card(parent)
    await world.alice.closes(ordinary)
    await world.settle()
    assert world.status(parent) == "done"
    world.ignore_writes("only the outcome matters")


async def test_a_cycle_across_repositories_is_named_on_every_card_and_ends(world: World, web: Repository) -> None:
    world.agent("codex", Stalls())
    here = await world.files("Here", body("Do it here.", needs="tests", depends_on="acme/web#1"))
    there = await world.alice.opens_issue(
        web, "There", body("Do it there.", needs="tests", depends_on="Acme/Shop#1"), labels=["task"]
    )
    await world.settle()
    cycle = "Its dependencies form a cycle: {} → {} → {}."
    assert cycle.format("#1", "acme/web#1", "#1") in world.card(here)
    assert cycle.format("#1", "acme/shop#1", "#1") in world.card(there)

    await world.alice.edits_issue(there, body=body("Do it there.", needs="tests"))
    await world.settle()
    assert (world.status(here), world.status(there)) == ("ready", "in-progress")
    assert "cycle" not in world.card(here)
    world.ignore_writes("only the outcome matters")


async def test_a_task_done_in_another_repository_unblocks_at_once(world: World, web: Repository) -> None:
    world.agent("codex", Stalls())
    there = await world.alice.opens_issue(web, "There", body("Do it there.", needs="docs"), labels=["task"])
    await world.settle()
    here = await world.files("Here", body("Do it here.", needs="tests", depends_on="acme/web#1"))
    assert (await world.task(here)).open_dependencies == ("acme/web#1",)
    await world.alice.closes(there)
    await world.settle()
    assert world.status(here) == "in-progress"
    assert (await _task(world, web, there)).status == "done"
    world.ignore_writes("only the outcome matters")


async def test_depends_and_its_undo_by_command(world: World, web: Repository) -> None:
    codex = world.agent("codex", WritesFiles({"shop/part.py": "# part\n"}))
    ted = world.person("ted", "triage")
    task = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    question = await world.alice.opens_issue(web, "Which rate?")
    behind = await world.files("Tell of it", body("Tell of it.", needs="tests", depends_on="#1"))
    await world.settle()
    world.ignore_writes("set-up")

    said = ["#1 reaction eyes", "#1 reaction confused"]
    await world.says(task, "/depends #77, acme/web#1 and #2", author=ted)
    assert world.written() == [*said, "#1 comment: - There is no issue #77."]
    assert "This would form a cycle: #1 → #2 → #1." in world.comments(task)[-1]

    world.hub.faults.fail_response("issues/add-blocked-by-dependency", "500-done")
    await world.says(task, "/depends acme/web#1", author=ted)
    await world.advance(minutes=1)
    add = "issues/add-blocked-by-dependency 1/dependencies/blocked_by"
    done = ["#1 reaction eyes", "#1 reaction rocket"]
    assert world.written() == [*done, f"{add} (refused: 500)", "#1 labels status:pending", "#1 card edited"]
    assert task.blocked_by == [question]
    assert "Waits for** | acme/web#1" in world.card(task)
    await world.alice.edits_issue(task, body=body(needs="tests"))
    await world.settle()
    assert (world.status(task), codex.work_items) == ("ready", [])
    world.ignore_writes("the edit of the dependencies")

    world.hub.faults.fail_response("issues/add-blocked-by-dependency", "410-disabled")
    await world.alice.opens_issue(world.shop, "Which customers?")
    await world.says(task, "/depends #3", author=ted)
    assert world.written()[:4] == [*done, f"{add} (refused: 410)", "#1 reaction confused"]
    assert "Write a line `Depends on #3` into the text" in world.comments(task)[-1]

    await world.says(task, "/depends remove acme/web#1", author=ted)
    assert (task.blocked_by, world.status(task), world.status(behind)) == ([], "done", "done")
    world.ignore_writes("the answer to /depends")


async def test_a_task_that_depends_on_itself_is_reported(world: World) -> None:
    issue = await world.files("Selfish", body("Do it.", needs="tests", depends_on="#1"))
    assert "It depends on itself: remove `#1` from its dependencies." in world.card(issue)
    world.ignore_writes("only the outcome matters")


async def _task(world: World, repository: Repository, issue: Issue) -> Task:
    async with world.bot.database.transaction() as connection:
        found = await store.load_task(connection, repository.id, issue.number)
    assert found is not None
    return found
