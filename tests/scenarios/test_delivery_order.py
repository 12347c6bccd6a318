"""Any order of any deliveries ends in the same state: a day of people at work is told to the bot in many orders.

The clock stands still meanwhile, so that neither the reconciler nor a redelivery can fix what the order broke.
`ORDERS=60` tries that many orders; one does for every day, and a few for every night.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import psycopg

from sandbox.state.models import Issue
from tests.conftest import EMPTY_DATABASE
from tests.scenarios.deliveries import compare_state, send_deliveries, withhold_deliveries
from tests.scenarios.shop import CONFIG_PATH, FILES, body, config
from tests.scenarios.world import World, open_world
from tests.suite import is_full

ORDERS = int(os.environ.get("ORDERS", "6" if is_full() else "1"))
FIRST = int(os.environ.get("FIRST_ORDER", "2"))  # an even one: the reconciler looks as well
# No agent implements anything: what becomes of the tasks is up to the people alone.
AGENTS = {"helper": {"adapter": "pull", "capabilities": ["python", "tests", "docs"], "roles": ["review"]}}
SHOP = {**FILES, CONFIG_PATH: config(agents=AGENTS, merge={"auto": False})}


async def a_day(world: World) -> list[Issue]:
    """What people do: every step in a second of its own, as its order could not be told otherwise."""
    alice, shop = world.alice, world.shop
    bob, carol = world.person("bob", "write"), world.person("carol", "write")

    def then() -> None:
        world.clock.advance(1)

    tax = await alice.opens_issue(shop, "Add the tax rate", body("First.", needs="tests"), labels=["task"])
    then()
    cart = await bob.opens_issue(shop, "Empty the cart", body(needs="docs"))
    then()
    form = await alice.opens_issue(shop, "A form for orders", body(depends_on="#1"), labels=["task", "P1"])
    then()
    await alice.edits_issue(tax, body=body("Second.", needs="docs"))
    then()
    await alice.labels(cart, "task")
    then()
    await alice.comments(tax, "/priority P0")
    then()
    await alice.labels(tax, "type:non-functional")
    then()
    await alice.blocks(cart, blocker=tax)
    then()
    await alice.comments(form, "/pause")
    then()
    await bob.pushes(shop, "bobs-tax", {"shop/tax.py": "RATE = 0.1\n"})
    pull = await bob.opens_pull(shop, head="bobs-tax", title="Tax", body="Closes #1", draft=True)
    await world.hub.wait_until_idle()
    then()
    await alice.comments(tax, "/priority P1\n/needs python")
    then()
    await bob.marks_ready(pull)
    then()
    await carol.reviews(pull, "REQUEST_CHANGES", "It is 0.19.")
    then()
    await bob.pushes(shop, "bobs-cart", {"shop/cart.py": "CART = 1\n"})
    other = await bob.opens_pull(shop, head="bobs-cart", title="Cart", body="Closes #2")
    await world.hub.wait_until_idle()
    then()
    earlier = await alice.reviews(other, "APPROVE")
    then()
    await carol.reviews(other, "APPROVE")
    then()
    await carol.reviews(other, "REQUEST_CHANGES", "It is to be empty.")
    then()
    await alice.dismisses(earlier, "Too soon.")
    then()
    await alice.comments(form, "/resume")
    then()
    await bob.pushes(shop, "bobs-tax", {"shop/tax.py": "RATE = 0.19\n"})
    await world.hub.wait_until_idle()
    then()
    await carol.reviews(pull, "APPROVE")
    then()
    await bob.pushes(shop, "bobs-cart", {"shop/cart.py": "CART = 0\n"})
    await world.hub.wait_until_idle()
    then()
    await carol.reviews(other, "APPROVE")
    then()
    await alice.closes(form, reason="not_planned")
    then()
    await alice.edits_issue(tax, title="Add the tax rate of 19 %")
    then()
    await alice.reopens(form)
    then()
    await alice.labels(cart, "P0")
    then()
    await alice.comments(form, "/block the lawyers have to agree")
    then()
    await bob.merges(pull)
    await world.hub.wait_until_idle()
    then()
    await alice.unlabels(cart, "P0")
    then()
    await alice.comments(cart, "/priority P1")
    then()
    await alice.comments(form, "/unblock")
    then()
    await alice.labels(cart, "P0")
    await world.hub.wait_until_idle()
    return [tax, cart, form]


async def states_after_replay(root: Path, database_url: str, seed: int = 0) -> dict[int, dict[str, Any]]:
    """What a new bot makes of the day: of all its deliveries as they were sent (0), or twice each and shuffled."""
    async with open_world(root, database_url, SHOP) as world:
        async with withhold_deliveries(world) as kept:
            issues = await a_day(world)
        if seed:
            kept = [*kept, *kept]
            random.Random(seed).shuffle(kept)
        await send_deliveries(world, kept, seed)
        if seed and seed % 2 == 0:
            await world.advance(minutes=16)  # the reconciler looks, which must not lead elsewhere
        world.ignore_writes("only the outcome matters")
        return await compare_state(world, issues)


async def test_any_order_makes_the_same_end(tmp_path: Path, database_url: str) -> None:
    as_sent = await states_after_replay(tmp_path / "as-sent", database_url)
    tax, cart, form = as_sent.values()
    assert (tax["status"], tax["priority"], tax["pull"]["merged"]) == ("done", "P1", True)
    assert (cart["status"], cart["priority"], cart["depends_on"]) == ("review", "P0", ["#1"])
    assert (form["status"], form["open_dependencies"], form["state"]) == ("ready", [], ("open", "reopened"))
    for seed in range(FIRST, FIRST + ORDERS):
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(EMPTY_DATABASE)
        assert await states_after_replay(tmp_path / str(seed), database_url, seed) == as_sent, (
            f"ORDERS=1 FIRST_ORDER={seed}"
        )
