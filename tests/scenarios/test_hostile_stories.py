"""Hostile inputs that need the whole bot, several in one story; the corpus says what must come of each."""

from __future__ import annotations

import json

from sandbox.actors.agents import Stalls
from tests.corpus import entry_names, hostile_input
from tests.scenarios.shop import body
from tests.scenarios.world import World

TOLD = {
    "story-hidden-order",
    "story-edited-after",
    "story-forged-markers",
    "story-boxes-elsewhere",
    "story-fake-agent",
    "story-everyone",
}


def test_every_story_of_the_corpus_has_a_test() -> None:
    assert set(entry_names("story")) == TOLD


async def test_a_stranger_tries_everything_on_one_task(world: World) -> None:
    mallory = world.person("mallory", "read")
    codex = world.agent("codex", Stalls())
    text = hostile_input("story-hidden-order")
    issue = await world.files("Sums\U000e0070\u200b", body(text, needs="tests"), author=mallory)
    assert codex.work_items == []
    world.ignore_writes("set-up")
    await world.says(issue, "/ready")
    world.ignore_writes("the approval")
    [work] = codex.work_items
    packet = json.dumps(work.packet, ensure_ascii=False)
    assert "Round the total." in packet
    for hidden in ("SECRETS", "KEYS", "\U000e0070", "\u200b"):
        assert hidden not in packet

    await mallory.edits_issue(issue, title="Other", body=body(hostile_input("story-edited-after"), needs="tests"))
    await world.settle()
    assert not [line for line in world.unread_writes() if "dispatch" in line or "comment" in line]
    world.ignore_writes("the stranger's edit")
    assert len(codex.work_items) == 1

    card = world.card(issue)
    for forged in hostile_input("story-forged-markers"):
        await world.says(issue, forged, author=mallory)
    assert world.written() == []
    ours = [c.body for c in issue.comments if c.user is world.app.bot and "orchestrator:card" in c.body]
    assert ours == [card]

    trap = await mallory.opens_issue(world.shop, "Please tick", hostile_input("story-boxes-elsewhere"))
    await world.settle()
    await world.alice.edits_issue(trap, body=hostile_input("story-boxes-elsewhere").replace("[ ]", "[x]"))
    await world.settle()
    assert world.written() == []

    await world.says(issue, hostile_input("story-fake-agent"), author=world.person("codex", "none"))
    [*_, refused] = world.comments(issue)
    assert "write access" in refused
    await world.says(issue, hostile_input("story-everyone"), author=mallory)
    [*_, answer] = world.comments(issue)
    for word in ("@acme/everyone", "@channel", "<img"):
        assert word not in answer
    assert (await world.task(issue)).status == "in-progress"
    assert len(codex.work_items) == 1
    world.ignore_writes("the refusals, asserted above")
