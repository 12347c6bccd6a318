"""Each class of failure in a story: fixed at once, waited out, tried again, or given up and shown."""

from __future__ import annotations

from adapters.database import repositories
from bot.cli.dead_letters import discard_dead_letter, list_dead_letters, retry_dead_letters
from bot.cli.digest import digest_markdown
from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import CONFIG, CONFIG_PATH, body
from tests.scenarios.world import World

TAX = {"shop/tax.py": "RATE = 0.19\n"}


def ours(world: World) -> int:
    """How many requests the bot has made as the installation."""
    return len([request for request in world.hub.requests if request.installation_id == world.installation.id])


async def test_a_repository_that_moves_in_the_middle_is_followed_and_its_new_name_learnt(world: World) -> None:
    world.agent("codex", Stalls())
    world.agent("claude", Stalls())
    issue = await world.files("Add the tax rate", body(needs="python"))
    world.hub.rename(world.shop, "boutique")  # and no delivery tells of it
    before = len(world.hub.requests)
    await world.advance(minutes=31)  # no sign of life: the agent's run is asked after
    since = world.hub.requests[before:]
    led = [request for request in since if request.status == 301]
    assert led, "the former name was used"
    assert all(request.path.startswith("/repos/acme/shop") for request in led)
    async with world.bot.database.autocommit() as connection:
        row = await repositories.load_repository(connection, world.shop.id)
    assert row is not None
    assert row.full_name == "acme/boutique"
    after = len(world.hub.requests)
    await world.advance(minutes=31)
    assert [request.path for request in world.hub.requests[after:] if request.status == 301] == []
    assert len(world.hub.requests) > after
    assert world.status(issue) in ("in-progress", "ready")
    world.ignore_writes("only the outcome matters")


async def test_transient_errors_are_retried_and_refuse_no_user(world: World) -> None:
    world.agent("codex", WritesFiles(TAX))
    world.hub.faults.fail_response("graphql", "401-expired", times=2)  # also with the new token
    world.hub.faults.fail_response("graphql", "403-secondary", seconds=600)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert issue.comments == []
    sent = ours(world)
    await world.advance(minutes=5)
    assert ours(world) == sent, "GitHub asked us to wait, so nothing is asked of it"
    await world.advance(minutes=6)
    await world.advance(minutes=1)
    assert world.status(issue) == "done"
    assert await list_dead_letters(world.bot.settings) == []

    world.hub.faults.fail_response("repos/get-collaborator-permission-level", "502-not-done", times=3)
    await world.says(issue, "/priority P0")
    assert (await world.task(issue)).priority == "P2"
    await world.advance(seconds=5)
    assert (await world.task(issue)).priority == "P0", "tried again, not refused"
    assert "confused" not in [reaction.content for comment in issue.comments for reaction in comment.reactions]
    world.ignore_writes("only the outcome matters")


async def test_a_start_without_github_is_made_up_for(world: World) -> None:
    await world.stop()
    world.hub.faults.fail_response("apps/list-installations", "502-not-done", times=3)
    before = len(world.hub.requests)
    await world.start()
    assert "apps/list-repos-accessible-to-installation" not in [r.operation_id for r in world.hub.requests[before:]]
    await world.advance(seconds=35)
    assert "apps/list-repos-accessible-to-installation" in [r.operation_id for r in world.hub.requests[before:]]
    assert world.written() == []


async def test_what_is_given_up_is_shown_everywhere_and_sent_again(world: World) -> None:
    world.hub.faults.fail_response("graphql", "410-disabled")  # so labels and card are sent one by one
    world.hub.faults.fail_response("issues/create-comment", "410-disabled")
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    world.hub.faults.fail_response("repos/get-content", "410-disabled")
    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: CONFIG.replace("max_tasks: 2", "max_tasks: 3")}, "More")
    await world.settle()
    card, push = await list_dead_letters(world.bot.settings)
    assert (card.subject, card.number, card.attempts) == (f"UpsertCard card:{issue.number}", issue.number, 1)
    assert (push.subject, push.number) == ("delivery push", None)
    assert "This feature is disabled" in card.error
    assert "This feature is disabled" in push.error

    await world.says(issue, "/status")
    assert f"`UpsertCard card:{issue.number}` (1 tries): issues/create-comment 410" in world.comments(issue)[-1]
    shown = (await digest_markdown(world.bot.settings, "acme/shop", world.bot.work.now())).partition(
        "### Dead letters"
    )[2]
    assert f"- #{issue.number} `UpsertCard card:{issue.number}` (1 tries): " in shown
    assert "- `delivery push` (1 tries): " in shown
    figures = (await world.bot.metrics.render(world.bot.database, world.clock.now())).decode()
    assert '\norchestrator_dead_letters{kind="effect"} 1.0\n' in figures
    assert '\norchestrator_dead_letters{kind="delivery"} 1.0\n' in figures

    assert await retry_dead_letters(world.bot.settings, push.id) == 1
    await world.settle()
    async with world.bot.database.autocommit() as connection:
        row = await repositories.load_repository(connection, world.shop.id)
    assert row
    assert row.config
    assert row.config.agents["codex"].max_tasks == 3
    assert [one.id for one in await list_dead_letters(world.bot.settings)] == [card.id]
    assert await retry_dead_letters(world.bot.settings, retry_all=True) == 1
    await world.settle()
    assert world.card(issue)
    assert await list_dead_letters(world.bot.settings) == []

    world.hub.faults.fail_response("graphql", "410-disabled")
    world.hub.faults.fail_response("issues/set-labels", "410-disabled")
    await world.says(issue, "/priority P0")
    [labels] = await list_dead_letters(world.bot.settings)
    await discard_dead_letter(world.bot.settings, labels.id)
    assert await list_dead_letters(world.bot.settings) == []
    world.ignore_writes("only the outcome matters")
