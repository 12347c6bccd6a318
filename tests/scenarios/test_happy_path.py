"""An issue becomes merged code, and no person copies text."""

import pytest

from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World
from tests.scenarios.writes import delivery_lines, merge_lines, review_lines, start_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}


@pytest.mark.parametrize(
    ("agent", "needs"),
    [
        pytest.param("codex", "tests", id="repository_dispatch"),
        pytest.param("claude", "docs", id="workflow_dispatch"),
    ],
)
async def test_an_issue_becomes_merged_code(world: World, agent: str, needs: str) -> None:
    hand = world.agent(agent, WritesFiles(TAX))

    issue = await world.files("Add the tax rate", body(needs=needs, files="`shop/tax.py`"), "bug")

    assert world.written() == delivery_lines(1, 2, agent, card="card")
    assert issue.state == "closed"
    assert set(issue.label_names) == {"bug", "P2", f"needs:{needs}", "status:done", "task", "type:functional"}
    assert world.shop.git.read("main", "shop/tax.py") == TAX["shop/tax.py"]
    assert "**Status** | done" in world.card(issue)
    assert await world.events(issue) == [
        "task_created",
        "task_ready",
        "task_assigned",
        "task_acknowledged",  # the start was accepted
        "task_acknowledged",  # the run began
        "task_review",
        "merge_requested",
        "task_completed",
    ]

    [work] = hand.work_items
    packet = work.packet
    assert (packet["repository"], packet["agent"], packet["attempt"]) == ("acme/shop", agent, 1)
    assert (packet["branch"], packet["base"]) == ("task/1-1", "main")
    assert packet["task"]["title"] == "Add the tax rate"
    assert packet["goal"] == "Make it so."
    assert packet["criteria"] == ["it is so"]
    assert packet["files"] == ["shop/tax.py"]
    assert packet["plan"]["kind"] == "functional"
    assert (packet["history"], packet["feedback"]) == ([], None)
    assert packet["report"]["closing_line"] == "Closes #1"


async def test_labels_of_people_stay(world: World) -> None:
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()), "bug", "help wanted")
    assert world.written() == ["#1 labels status:pending", "#1 card"]
    await world.alice.labels(issue, "question")
    await world.alice.unlabels(issue, "bug")
    await world.settle()
    assert world.written() == []

    world.agent("codex", WritesFiles(TAX))
    await world.alice.edits_issue(issue, body=body(needs="tests"))
    await world.settle()
    world.ignore_writes("the edit of the task")
    assert world.status(issue) == "done"
    assert {"help wanted", "question"} <= set(issue.label_names)
    assert "bug" not in issue.label_names


async def test_criteria_ticked_late_let_the_merge_go_on(world: World) -> None:
    """A pull request whose task has open criteria is not merged; the check on it says why, and ticking merges it."""
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests", ticked=False))
    assert world.written() == [
        *start_lines(1, "codex", card="card"),
        *review_lines(1, "check definition-of-done: action_required"),
    ]
    assert "“it is so”" in (world.check("definition-of-done").summary or "")
    assert world.status(issue) == "review"

    await world.alice.edits_issue(issue, body=body(needs="tests"))
    await world.settle()
    assert world.written() == ["check updated: success", *merge_lines(1, 2)]


async def test_without_auto_merge_a_person_presses_the_button(world: World) -> None:
    await world.configures(config(merge={"auto": False}))
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert "check definition-of-done: success" in world.written()
    assert world.status(issue) == "review"

    await world.alice.merges(world.pull)
    await world.settle()
    assert world.written() == ["#1 labels status:done", "#1 card edited"]
    assert issue.state == "closed"


async def test_edits_of_the_card_wait_a_moment_for_each_other(world: World) -> None:
    await world.stop()
    world.env |= {"CARD_DEBOUNCE_SECONDS": "10"}
    await world.start()
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert [line for line in world.written() if "card" in line] == ["#1 card"], "the first is there at once"

    await world.says(issue, "/progress the half of it")
    await world.advance(seconds=35)
    await world.says(issue, "/progress almost all of it")
    assert "card" not in " ".join(world.written()), "details of what is under way have time"
    await world.advance(seconds=5)
    assert world.written() == ["#1 card edited"]
    assert "almost all of it" in world.card(issue)

    await world.says(issue, "/progress nothing works")
    await world.says(issue, "/escalate the server is unreachable")
    assert "the server is unreachable" in world.card(issue), "what needs a person never waits"
    world.ignore_writes("the progress and the escalation")
    await world.advance(seconds=10)
    assert world.written() == []
