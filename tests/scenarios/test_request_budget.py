"""What the whole life of a task costs of GitHub's limits, request by request, with waits as they are by default."""

from collections import Counter

import pytest

from config.settings import Settings
from sandbox.actors.agents import Stalls, WritesFiles
from sandbox.faults.rules import ResponseFault
from tests.scenarios.shop import body
from tests.scenarios.world import World, story_fixture
from tests.scenarios.writes import merge_lines, review_lines, start_lines, writes_of
from tests.suite import full_only

TAX = {"shop/tax.py": "RATE = 0.19\n"}
WAIT = Settings.model_fields["card_debounce_seconds"].default


@story_fixture
async def world(world: World) -> World:
    """The bot waits as it does for everybody."""
    await world.stop()
    world.env |= {"CARD_DEBOUNCE_SECONDS": str(WAIT)}
    await world.start()
    return world


def requests(world: World) -> Counter[str]:
    """The requests that wrote something, by operation."""
    return Counter(record.operation_id or record.path for record in writes_of(world.hub, world.app))


async def test_the_life_of_a_task(world: World) -> None:
    """Five requests from the issue to its end, though its author ticks the criteria late. One more is a mistake."""
    world.agent("codex", WritesFiles(TAX))
    before = requests(world)
    issue = await world.files("Add the tax rate", body(needs="tests", ticked=False))
    assert world.written() == [
        *start_lines(1, "codex", card="card"),
        "check definition-of-done: action_required",
        "check conflict-first: success",
        *review_lines(1)[1:],
    ], "what the author has to do is said at once, and takes all else with it"
    await world.alice.edits_issue(issue, body=body(needs="tests"))
    await world.settle()
    assert world.written() == ["merge #2"], "GitHub shows the merge itself"
    await world.advance(seconds=WAIT)
    assert world.written() == ["check updated: success", *merge_lines(1, 2)[1:]]
    spent = requests(world) - before
    assert spent == {"repos/create-dispatch-event": 1, "graphql": 3, "pulls/merge": 1}
    assert len([run for run in world.shop.check_runs(world.pull.head_sha) if run.app is world.app]) == 2


async def test_what_passes_in_a_moment_is_not_written(world: World) -> None:
    """Ready, in progress, in review and done within half a minute: only what lasts is shown."""
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.written() == [*start_lines(1, "codex", card="card"), "check conflict-first: success", "merge #2"]
    await world.advance(seconds=WAIT)
    assert world.written() == merge_lines(1, 2)[1:]
    assert issue.state == "closed"


async def test_a_label_that_a_person_sets_while_ours_wait(world: World) -> None:
    """Decided before, written after, and the news of it is lost: it is an instruction all the same."""
    world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="tests", ticked=False, priority="P1"))
    world.ignore_writes("set-up")
    await world.alice.edits_issue(issue, body=body(needs="tests", priority="P1"))
    await world.settle()
    assert world.written() == ["merge #2"]
    world.clock.advance(2)
    world.hub.faults.drop("issues", "labeled")
    await world.alice.labels(issue, "P0", "important")
    await world.settle()
    await world.advance(seconds=WAIT)
    await world.advance(seconds=WAIT)
    assert {"P0", "important", "status:done"} <= set(issue.label_names)
    assert "P1" not in issue.label_names
    assert "**Priority** | P0" in world.card(issue)
    world.ignore_writes("labels and card, asserted above")


@pytest.mark.parametrize("kind", ["500-done", "401-expired", *full_only("502-not-done", "hang-done", "403-secondary")])
async def test_a_request_for_several_things_goes_wrong(world: World, kind: ResponseFault) -> None:
    """Nothing twice, nothing lost, whichever of its parts was done."""
    world.hub.faults.fail_response("graphql", "502-not-done")  # the look at the issue
    world.hub.faults.fail_response("graphql", kind)
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    for _ in range(4):
        await world.advance(seconds=70)
    assert world.status(issue) == "in-progress"
    assert "**Status** | in-progress" in world.card(issue)  # the one card
    world.ignore_writes("only the outcome matters")


async def test_where_one_thing_is_refused_each_goes_its_own_way(world: World) -> None:
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    card = next(comment for comment in issue.comments if "orchestrator:card" in comment.body)
    await world.alice.deletes_comment(card)
    await world.says(issue, "/escalate the server is unreachable")
    assert "the server is unreachable" in world.card(issue)
    assert "needs-human" in issue.label_names
    world.ignore_writes("card and label, asserted above")
