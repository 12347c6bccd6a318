"""Agents that live on GitHub: Copilot, whom a person's token assigns, and those that listen to their name."""

from __future__ import annotations

from config.identities import load_families
from core.texts import comment_marker
from sandbox.actors.agents import COPILOT_ID, COPILOT_LOGIN, CloudAgent, Stalls, WorksInDraft, WritesFiles
from tests.scenarios.shop import body, config
from tests.scenarios.world import World

CART = {"shop/tax.py": "RATE = 0.19\n"}
CODEX = load_families()["codex"]
COPILOT = {"copilot": {"adapter": "copilot", "capabilities": ["python"]}}
MENTION = {
    "codex": {"adapter": "mention", "mention": "@codex", "capabilities": ["python"]},
    "claude": {"adapter": "actions", "workflow": "agent.yml", "capabilities": ["docs"]},
}


async def test_copilot_is_assigned_by_a_person_and_its_draft_is_merged(world: World) -> None:
    """CI for Copilot runs only after a person approves it; only the bot removes the draft state."""
    lender = await world.lends_a_token()
    await world.configures(config(agents=COPILOT))
    bot = world.hub.bot(COPILOT_LOGIN, number=COPILOT_ID)
    world.hub.cloud_agents["copilot"] = CloudAgent(
        bot, WorksInDraft(CART), "copilot/fix-{task}-{run}", think_seconds=600
    )

    issue = await world.files("Add the tax rate", body(needs="python"))
    assert world.written() == [
        f"#1 assigned to {COPILOT_LOGIN}",
        "label agent:copilot",
        "#1 labels status:in-progress",
        "#1 card",
        "check conflict-first: success",  # the draft is there already
        "#1 card edited",
    ]
    assert world.pull.draft
    task = await world.task(issue)
    assert task.lease is not None
    assert task.lease.acknowledged_at is not None, "the draft is a sign of life"
    assert world.hub.cloud_agents["copilot"].work_items[0].requester is lender

    await world.alice.reviews(world.pull, "REQUEST_CHANGES", "Say that it is per cent.")
    await world.settle()
    [word] = world.written()
    assert word.startswith("#2 comment: @copilot alice requested changes to your draft at ")
    assert world.pull.issue.comments[-1].user is lender
    assert (await world.task(issue)).attempt == 1, "it is told, and has not failed"

    await world.advance(minutes=10)
    assert world.written() == [
        "check conflict-first: success",  # of what it pushed meanwhile
        "marked ready",
        "#1 labels status:review",
        "#1 card edited",
    ]
    assert not world.pull.draft

    await world.advance(minutes=3)
    assert world.status(issue) == "review", "CI that waits for a person is not CI that is not there"
    assert world.written() == [
        "#1 comment: @alice **this task needs a person.**",
        "#1 assigned to alice",
        "#1 labels status:review",
        "#1 card edited",
    ]
    assert "`stalled`: The checks of #2 do not start until a person approves them." in world.card(issue)
    await world.alice.approves_runs(world.pull)
    await world.settle()
    assert "needs-human" not in issue.label_names
    assert world.written() == ["merge #2", "#1 labels status:done", "#1 card edited"]
    assert world.shop.git.read("main", "shop/tax.py") == CART["shop/tax.py"]


async def test_an_agent_that_listens_to_its_name_works_on_a_branch_of_its_own(world: World) -> None:
    """It hears people only, so a person's token calls it; what such comments quote are no commands of that person."""
    lender = await world.lends_a_token()
    await world.configures(config(agents={"codex": {**MENTION["codex"], "comment_as": "person"}}))
    bot = world.hub.bot(CODEX.login, number=CODEX.id)
    codex = world.hub.cloud_agents["codex"] = CloudAgent(
        bot, WritesFiles(CART), "codex/add-the-tax-rate-{run}", mention="@codex", think_seconds=240, accepts_bots=False
    )

    issue = await world.files("Add the tax rate", body("Ask @codex and @claude.", needs="python"))
    assert world.written() == [
        "#1 comment: @codex please take this task: #1, attempt 1.",
        "#1 labels status:in-progress",
        "#1 card",
    ]
    assert [work.requester for work in codex.work_items] == [lender]
    # What we say to an agent in a person's name may quote others.
    await lender.comments(issue, f"CI says:\n\n/release\n{comment_marker('steer:1:1:0')}")
    await world.settle()
    assert world.written() == []
    await world.advance(minutes=2)  # it has said nothing: it is asked
    task = await world.task(issue)
    assert task.lease is not None
    assert task.lease.acknowledged_at is not None, "its eyes are its sign of life"
    await world.advance(minutes=2)
    assert world.written() == ["check conflict-first: success", "merge #2", "#1 labels status:done", "#1 card edited"]
    assert world.pull.head_ref == "codex/add-the-tax-rate-1"


async def test_the_work_of_an_agent_that_does_not_hold_the_task_is_not_taken(world: World) -> None:
    """It is told so once, it takes nothing out of the holder's hands, and other tasks go on."""
    await world.configures(config(agents=MENTION))
    bot = world.hub.bot(CODEX.login, number=CODEX.id)
    world.hub.cloud_agents["codex"] = CloudAgent(bot, WritesFiles(CART), "codex/uninvited-{run}", mention="@codex")
    world.agent("claude", Stalls())
    issue = await world.files("Write the manual", body(needs="docs"))
    other = await world.files("Add the tax rate", body(needs="python"))
    assert world.status(other) == "done"
    world.ignore_writes("the tasks of both agents")

    await world.alice.comments(issue, "@codex could you do this as well?")
    await world.settle()
    [told] = world.written()
    assert told == "#4 comment: This pull request is by `codex`, but `claude` holds task #1."
    task = await world.task(issue)
    assert task.pull is None
    assert task.lease is not None
    assert task.lease.agent == "claude"
    assert "late_result" in await world.events(issue)
    await world.alice.edits_pull(world.pull, title="Something else")
    await world.settle()
    assert world.written() == [], "it is told once"
