"""Slash commands: who may say what, where, and how the bot answers."""

import asyncio

import pytest

from bot.jobs import handle_deliveries
from core.texts import no_task_text
from handlers import HANDLERS, Delivery, Handler, HandlerContext
from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import body
from tests.scenarios.world import World
from tests.scenarios.writes import delivery_lines, merge_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}


def _answer(world: World, number: int = 1) -> str:
    """The newest comment of the bot below the issue, besides its card."""
    return world.comments(world.shop.issue(number))[-1]


async def test_help_status_and_explain_are_for_everybody(world: World) -> None:
    reader = world.person("rita", "read")
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")

    await world.says(issue, "/help", author=reader)
    assert world.written() == ["#1 reaction rocket", "#1 comment: Commands"]
    for word in ("help", "status", "explain", "claim", "release", "ready", "priority", "retry", "complete"):
        assert f"`/{word}" in _answer(world)

    await world.says(issue, "/status", author=reader)
    world.ignore_writes("the answer to /status")
    assert "The task is **in-progress**" in _answer(world)
    assert "held by `codex` (attempt 1)" in _answer(world)

    await world.says(issue, "/explain", author=reader)
    world.ignore_writes("the answer to /explain")
    assert "codex is the only agent that can take it now" in _answer(world)
    assert "excluded: lacks tests" in _answer(world)
    assert issue.comments[-2].reaction_names == ["rocket"]
    assert (await world.events(issue)).count("command_run") == 3


async def test_several_commands_in_one_comment(world: World) -> None:
    codex = world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests", depends_on="#1"))
    world.ignore_writes("set-up")
    await world.says(issue, "Please:\n\n/priority P0\n/status\n\nThank you, and /retry is not needed.")
    assert world.written() == [
        "#1 reaction eyes",
        "#1 reaction rocket",
        "#1 comment: The task is **pending** since 2026-03-02 09:00 UTC, P0.",
        "#1 labels status:pending",
        "#1 card edited",
    ]
    assert codex.work_items == []


async def test_of_an_edited_comment_only_what_is_new_runs(world: World) -> None:
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    comment = await world.alice.comments(issue, "/priority P1")
    await world.settle()
    world.ignore_writes("set-up")
    await world.alice.edits_comment(comment, "/priority P1\n\nand, by the way,\n\n/status")
    await world.settle()
    assert world.written() == ["#1 comment: The task is **pending** since 2026-03-02 09:00 UTC, P1."]
    assert (await world.events(issue)).count("command_run") == 2
    await world.alice.edits_comment(comment, "Never mind.")
    await world.settle()
    assert world.written() == []


async def test_a_person_claims_and_releases(world: World) -> None:
    """Every agent is busy; bob takes the task, thinks better of it, and gives it back."""
    world.agent("claude", Stalls())
    bob = world.person("bob", "write")
    await world.files("Keep claude busy", body("Keep claude busy.", needs="docs"))
    issue = await world.files("Write the manual", body(needs="docs"))
    world.ignore_writes("set-up")

    await world.says(issue, "/claim", author=bob)
    assert world.status(issue) == "in-progress"
    assert "agent:bob" in issue.label_names
    assert "Work on the branch `task/2-1`" in _answer(world, 2)
    assert world.written() == [
        "#2 reaction eyes",
        "#2 reaction rocket",
        "#2 comment: Write the manual (#2)",
        "label agent:bob",
        "#2 labels status:in-progress",
        "#2 card edited",
    ]
    await world.says(issue, "/claim")
    assert "`bob` is working on this task. Release it first with `/release`." in _answer(world, 2)
    world.ignore_writes("the refusal of /claim")

    world.hub.grant(world.shop, bob, "read")  # bob left the team, but still holds the task
    await world.says(issue, "/release", author=bob)
    assert world.status(issue) == "ready"
    assert "agent:bob" not in issue.label_names
    assert world.written() == ["#2 reaction rocket", "#2 labels status:ready", "#2 card edited"]


async def test_release_takes_the_task_from_an_agent(world: World) -> None:
    codex = world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    codex.script = WritesFiles(TAX)
    await world.says(issue, "/release")
    assert world.status(issue) == "done"
    assert (await world.task(issue)).history[0].outcome == "released"
    assert world.written() == [
        "run cancelled",
        "dispatch task/1-2 to codex",
        "#1 reaction eyes",
        "#1 reaction rocket",
        "#1 card edited",
        "check conflict-first: success",
        *merge_lines(1, 2),
    ]


async def test_complete_says_what_is_missing_on_the_pull_request(world: World) -> None:
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests", ticked=False))
    world.ignore_writes("set-up")
    await world.says(world.pull.issue, "/complete")
    assert world.written() == [
        "#2 reaction eyes",
        "#2 reaction confused",
        "#2 comment: The pull request cannot be merged yet:",
    ]
    assert "1 of 1 acceptance criteria are not ticked: “it is so”" in _answer(world, 2)
    assert world.status(issue) == "review"


async def test_an_issue_that_is_no_task(world: World) -> None:
    issue = await world.alice.opens_issue(world.shop, "A question", "How much is the tax?")
    await world.says(issue, "/gcbrun")  # other bots have commands of their own
    assert world.written() == []
    await world.says(issue, "/status")
    assert world.written() == [
        "#1 reaction eyes",
        "#1 reaction confused",
        f"#1 comment: {no_task_text().strip()}",
    ]
    await world.says(issue, "/help")
    assert world.written() == ["#1 reaction eyes", "#1 reaction rocket", "#1 comment: Commands"]


async def test_the_bot_does_not_talk_to_itself(world: World) -> None:
    codex = world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add /help", body("Say this:\n\n/retry\n", needs="tests"))
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 1
    assert world.written() == delivery_lines(1, 2, "codex", card="card")


async def test_a_command_is_carried_out_once_though_the_bot_dies_right_after(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decided and kept, but killed before it could say that the delivery is handled: it is handled again."""
    codex = world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    with monkeypatch.context() as patch:
        patch.setitem(HANDLERS, "issue_comment", _then_dies(HANDLERS["issue_comment"]))
        await world.alice.comments(issue, "/retry")
        await world.hub.wait_until_idle()
        key = f"issue:{world.shop.id}:{issue.number}"
        with pytest.raises(SystemExit):
            await handle_deliveries(world.bot.context, key, asyncio.Lock(), _at_once)
    await handle_deliveries(world.bot.context, key, asyncio.Lock(), _at_once)
    await world.settle()
    assert len(codex.work_items) == 2
    assert (await world.events(issue)).count("command_run") == 1
    assert world.written()[-1] == "#1 card edited"


def _then_dies(handler: Handler) -> Handler:
    async def handles(delivery: Delivery, desk: HandlerContext) -> None:
        await handler(delivery, desk)
        raise SystemExit  # no error of a handler, so nothing is noted of it

    return handles


async def _at_once() -> None:
    pass
