"""Mistakes get one reason each, once, however often GitHub tells of them; and nothing of it stops other tasks.

Heartbeats that are not theirs are in `test_failover`, uninvited work in `test_agents_on_github`, cycles in
`test_relations` and `test_not_ready`.
"""

from sandbox.actors.agents import WritesFiles
from tests.scenarios.shop import CONFIG_PATH, body
from tests.scenarios.world import World
from tests.scenarios.writes import delivery_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}


async def test_every_mistake_has_one_reason_once_and_blocks_no_other_task(world: World) -> None:
    world.agent("codex", WritesFiles(TAX))
    bad = await world.files("Selfish", body("Do it.", needs="pyhton, cobol", depends_on="#1"))
    card = world.card(bad)
    for reason in (
        "No agent has `pyhton`. Did you mean `python`?",
        "No agent has `cobol`; the capabilities of this repository's agents are `docs`, `python`, `tests`.",
        "It depends on itself: remove `#1` from its dependencies.",
    ):
        assert card.count(f"- {reason}") == 1
    world.ignore_writes("the cards, asserted above")

    said = ["#1 reaction eyes", "#1 reaction confused"]
    words = {
        "/assign codxe": "There is no agent `codxe`. Did you mean `codex`?",
        "/needs pyhton": "No agent has `pyhton`. Did you mean `python`?",
        "/depends #1": "A task cannot depend on itself.",
        "/block": "Give a reason, so that people know when to lift the block: `/block legal has to agree`.",
    }
    world.hub.faults.duplicate("issue_comment")
    await world.says(bad, "\n".join(words))
    assert world.written() == [*said, *(f"#1 comment: {reason}" for reason in words.values())]
    world.hub.faults.duplicate("issue_comment")
    await world.says(bad, "/depends #2", author=world.person("mallory", "read"))
    needs = "`/depends` needs triage access; you have read access to this repository."
    assert world.written() == ["#1 reaction confused", f"#1 comment: {needs}"]

    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: "agents: [\n"})
    await world.settle()
    await world.advance(minutes=16)  # all is read again
    assert world.written() == [], "nothing is told twice"

    good = await world.files("Add the tax rate", body(needs="tests"))
    assert (world.status(good), world.status(bad)) == ("done", "pending")
    assert world.written() == delivery_lines(2, 3, "codex", card="card")
