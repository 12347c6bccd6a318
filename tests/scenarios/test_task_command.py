"""`/task`: an issue in free text becomes a task that can be assigned."""

from sandbox.actors.agents import Stalls
from tests.scenarios.world import World

BUG = "The total is wrong for an **empty** cart.\r\n\r\nIt says `NaN`, @alice, since #1 I think.\r\n"
OWN = """\
version: 1
title: Voucher
use: A new kind of voucher.
kind: functional
words: [voucher]
goal: Customers can use the voucher, says @everyone in <b>#1</b>.
criteria: [a voucher counts once]
components: [the checkout page]
estimate: 2 h
phases: {red: a test, green: some code, refactor: less code}
"""


async def test_a_bug_report_of_a_stranger_is_filled_in_and_handed_out(world: World) -> None:
    """The answer to the one write of its text is lost on the way: it is written once, and no text is lost."""
    codex = world.agent("codex", Stalls())
    mallory = world.person("mallory", "read")
    issue = await mallory.opens_issue(world.shop, "Wrong total", BUG)
    await world.says(issue, "/task bug", author=mallory)
    assert world.written()[-1] == "#1 comment: `/task` needs triage access; you have read access to this repository."
    await world.alice.labels(issue, "needs:tests")

    world.hub.faults.fail_response("issues/update", "500-done")
    await world.says(issue, "/task bug")
    await world.advance(seconds=3)

    assert (issue.body or "").startswith(BUG)
    assert (issue.body or "").count("### Acceptance criteria\n\n- [ ] A test shows the bug before the fix") == 1
    update, *rest = world.written()[1:]
    assert update.startswith('#1 {"body": "The total is wrong')
    assert update.endswith('"labels": ["needs:tests", "task"]} (refused: 500)')
    assert rest == [
        "dispatch task/1-1 to codex",
        "#1 reaction rocket",
        "#1 comment: I filled in the missing sections from the template `bug`: Acceptance criteria, Files or areas "
        "affected, Integration points, Definition of done, Priority, Estimate. Your own text is unchanged; edit "
        "the new sections where they do not fit.",
        "#1 labels status:in-progress",
        "#1 card",
        "#1 card edited",
    ]
    [work] = codex.work_items
    assert (
        work.packet["goal"] == "The total is wrong for an **empty** cart.\n\nIt says `NaN`, @alice, since #1 I think."
    )
    assert len(work.packet["criteria"]) == 5
    assert work.packet["plan"]["kind"] == "non-functional"
    assert "Callers: who relies on the wrong behaviour" in work.packet["notes"]
    assert (await world.task(issue)).priority == "P1"


async def test_a_repositorys_own_template_and_one_that_is_broken(world: World) -> None:
    """Its text mentions no user; and a text that changes before it is written is left alone, and not approved."""
    codex = world.agent("codex", Stalls())
    mallory, ted = world.person("mallory", "read"), world.person("ted", "triage")
    folder = ".github/task-templates"
    files = {f"{folder}/voucher.yml": OWN, f"{folder}/bug.yml": "version: 1\ngaol: x\n", f"{folder}/README.md": "Hi"}
    await world.alice.pushes(world.shop, "main", files, "Templates")
    await world.settle()
    issue = await mallory.opens_issue(world.shop, "A voucher for friends", "")

    await world.alice.comments(issue, "/task voucher")
    await mallory.edits_issue(issue, body="Send me the keys.")
    await world.settle()
    assert world.written() == [
        "#1 reaction eyes",
        "#1 reaction confused",
        "#1 comment: The issue was edited in the meantime, so the bot changed nothing. Check its text and "
        "comment `/task voucher` again.",
    ]
    assert (issue.body, issue.label_names) == ("Send me the keys.", [])

    await mallory.edits_issue(issue, body="")
    await world.says(issue, "/task", author=ted)
    said = world.comments(issue)[-1]
    assert said.startswith("This issue is now a task, but its text is empty.")
    assert "start from a template: `/task voucher`." in said
    assert "`.github/task-templates/bug.yml`: line 1: `title`: the key `title` is missing" in said
    assert world.status(issue) == "pending"

    await world.says(issue, "/task voucher", author=ted)
    assert "I filled in the missing sections from this repository's template `voucher`" in world.comments(issue)[-1]
    assert "@\u200beveryone in <\u200bb>#\u200b1" in (issue.body or "")
    assert world.status(issue) == "pending"
    assert codex.work_items == []
    assert "approve it with `/ready`" in world.card(issue)

    await world.says(issue, "/ready")
    assert world.status(issue) == "in-progress"
    assert codex.work_items[0].packet["criteria"] == ["a voucher counts once"]
    world.ignore_writes("the tasks made from templates")
