"""GitHub answers with an error and did it, or did not, or does not answer: nothing twice, nothing lost."""

import pytest

from sandbox.actors.agents import WritesFiles
from sandbox.faults.rules import ResponseFault
from tests.scenarios.shop import body
from tests.scenarios.world import World
from tests.suite import full_only

TAX = {"shop/tax.py": "RATE = 0.19\n"}
WRITES = (
    "graphql",  # labels and card together
    "repos/create-dispatch-event",
    "checks/create",
    "pulls/merge",
)


@pytest.mark.parametrize(
    "kind", ["hang-done", "403-secondary", *full_only("500-done", "502-not-done", "hang-not-done")]
)
async def test_the_first_write_of_each_kind_goes_wrong(world: World, kind: ResponseFault) -> None:
    codex = world.agent("codex", WritesFiles(TAX))
    for operation in WRITES:
        world.hub.faults.fail_response(operation, kind)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    for _ in range(6):
        await world.advance(seconds=70)
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 1
    assert "**Status** | done" in world.card(issue)  # the one card
    assert world.comments(issue) == []
    assert len([run for run in world.shop.check_runs(world.pull.head_sha) if run.name == "conflict-first"]) == 1
    world.ignore_writes("only the outcome matters")


async def test_the_card_is_changed_before_its_first_version_is_known_to_be_there(world: World) -> None:
    """The card was made, but the answer was lost; meanwhile the task changed."""
    world.hub.faults.fail_response("graphql", "502-not-done")  # the look before
    world.hub.faults.fail_response("graphql", "500-done")
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    await world.alice.labels(issue, "P0")
    await world.settle()
    await world.advance(seconds=5)
    assert "**Priority** | P0" in world.card(issue)
    world.ignore_writes("only the outcome matters")


async def test_an_expired_token_is_renewed(world: World) -> None:
    world.agent("codex", WritesFiles(TAX))
    world.hub.faults.fail_response("graphql", "401-expired")
    issue = await world.files("Add the tax rate", body(needs="tests"))
    await world.advance(seconds=5)
    assert world.status(issue) == "done"
    world.ignore_writes("only the outcome matters")


async def test_an_hour_later_the_token_is_another(world: World) -> None:
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    await world.advance(hours=2)
    world.agent("codex", WritesFiles(TAX))
    await world.alice.edits_issue(issue, body=body(needs="tests"))
    await world.settle()
    assert world.status(issue) == "done"
    world.ignore_writes("only the outcome matters")
