"""GitHub could not hand a delivery over: the bot asks for it again, and for nothing that it has."""

from __future__ import annotations

import asyncio

import pytest

from bot.http import delivery_writer
from bot.jobs import drain_queue
from sandbox.actors.agents import WritesFiles
from scheduler.sweep import sweep
from tests.scenarios.shop import body
from tests.scenarios.world import World
from tests.scenarios.writes import delivery_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}


def asked_again(world: World) -> list[str]:
    """The deliveries that the bot asked GitHub for, by event and action."""
    by_id = {delivery.id: delivery for delivery in world.hub.deliveries}
    asked = [r for r in world.hub.requests if r.operation_id == "apps/redeliver-webhook-delivery"]
    found = [by_id[int(r.path.split("/")[4])] for r in asked]
    return [f"{delivery.event}.{delivery.action}" for delivery in found]


async def test_what_was_lost_comes_within_two_minutes_and_what_came_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.agent("codex", WritesFiles(TAX))
    for action in ("opened", "labeled", "assigned"):  # the last of them has no handler
        world.hub.faults.drop("issues", action)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    await world.alice.assigns(issue, world.alice)
    await world.settle()
    assert world.written() == []
    await world.advance(minutes=2)
    assert world.status(issue) == "done"
    assert world.written() == delivery_lines(1, 2, "codex", card="card")
    assert asked_again(world) == ["issues.opened", "issues.labeled"]

    # GitHub waited for an answer in vain, but we have it; another one was sent again by hand, and arrived then.
    late = next(d for d in world.hub.deliveries if d.event == "pull_request" and d.status_code == 202)
    by_hand = next(d for d in world.hub.deliveries if d.event == "push" and d.is_delivered)
    late.status_code, by_hand.status_code = 504, 502
    await world.hub.redeliver(by_hand.guid)
    with monkeypatch.context() as broken:
        broken.setattr(delivery_writer, "store_deliveries", unable)
        await world.says(issue, "/status")
    assert world.hub.deliveries[-1].status_code == 503
    await world.advance(minutes=2)
    assert world.written()[0] == "#1 reaction eyes"
    assert asked_again(world)[2:] == ["issue_comment.created"]
    await world.advance(hours=5)
    assert len(asked_again(world)) == 3


async def unable(*_: object) -> set[str]:
    """Like `store_deliveries` without a database."""
    raise ConnectionError


async def test_two_days_down_and_everything_comes_at_the_start_in_any_order_asked_for_once(world: World) -> None:
    for name in ("codex", "claude"):
        world.agent(name, WritesFiles({f"shop/{name}.py": "DONE = True\n"}))
    await world.stop()
    first = await world.alice.opens_issue(world.shop, "First", body(needs="tests"), labels=["task"])
    second = await world.alice.opens_issue(world.shop, "Second", body("Once.", criteria=(), needs="docs"))
    world.clock.advance(3600)
    await world.alice.edits_issue(second, body=body("Twice.", needs="docs"))
    await world.alice.comments(second, "/task")
    await world.alice.comments(first, "/priority P0")
    await world.hub.wait_until_idle()
    lost = {
        d.guid for d in world.hub.deliveries if not d.is_delivered and (d.event, d.action) != ("issues", "assigned")
    }
    world.clock.advance(2 * 24 * 3600)
    world.hub.faults.reorder(len(lost))
    await world.start()
    await world.start()  # two replicas; each makes the pass due as it comes
    world.workers = 2
    one, other = (bot for bot, _ in world._bots)
    await asyncio.gather(sweep(one.work), sweep(other.work))
    await asyncio.gather(drain_queue(one.jobs, 2), drain_queue(other.jobs, 2))
    await world.settle()
    assert world.hub.faults.reorder_count == 0, "not all were asked for"
    again = [d.guid for d in world.hub.deliveries if d.redelivery]
    assert sorted(again) == sorted(lost)
    assert (world.status(first), world.status(second)) == ("done", "done")
    assert (await world.task(first)).priority == "P0"
    assert (await world.task(second)).intake.goal == "Twice."
    assert len([line for line in world.written() if line.startswith("merge")]) == 2
    await world.advance(minutes=30)
    assert len(asked_again(world)) == len(lost)
