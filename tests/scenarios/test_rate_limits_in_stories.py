"""GitHub's limits: two replicas keep them together, and what people wait for goes first."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import aiohttp
from sqlalchemy import select

from adapters.database import tables as t
from bot.app import Bot
from bot.jobs import drain_queue
from core.effects.base import Comment
from sandbox.actors.agents import WritesFiles
from sandbox.http.routes import routes
from scheduler.sweep import sweep
from tests.scenarios.shop import body
from tests.scenarios.world import START, World

CONTENT, POINTS = 3, 250  # a minute; GitHub's own are 80 and 900


async def low_limits(world: World) -> tuple[Bot, Bot]:
    """GitHub allows a tenth of what it does, and two replicas run that know."""
    world.hub.limits.content_per_minute, world.hub.limits.points_per_minute = CONTENT, POINTS
    world.env |= {"GITHUB_CONTENT_PER_MINUTE": str(CONTENT), "GITHUB_POINTS_PER_MINUTE": str(POINTS)}
    await world.stop()
    await world.start()
    first = world.bot
    await world.start()
    first.work.now = world.bot.work.now  # a clock that stands still is read by both in turn
    return first, world.bot


async def rest(world: World, bots: tuple[Bot, Bot]) -> None:
    """Let both replicas do what can be done now, side by side."""
    for _ in range(100):
        await world.hub.wait_until_idle()
        waiting, _, due = await world._open()
        if due:
            await sweep(bots[0].work)
        elif waiting:
            await asyncio.gather(*(drain_queue(bot.jobs, 2) for bot in bots))
        elif world.hub.is_idle:
            return
    raise AssertionError("the world does not come to rest")


def most(times: list[float], span: float = 60) -> int:
    return max(sum(start <= at < start + span for at in times) for start in times)


async def test_two_replicas_stay_within_the_limits_and_answers_pass_cards(world: World) -> None:
    bots = await low_limits(world)
    for name in ("codex", "claude"):
        world.agent(name, WritesFiles({f"docs/{name}.md": "The rate.\n"}), think_seconds=300)
    tasks = [
        await world.alice.opens_issue(world.shop, f"Task {n}", body(f"Write {n}.", needs="python"), labels=["task"])
        for n in range(3)
    ]
    await rest(world, bots)
    assert await waiting(world) >= {"UpsertCard"}, "the cards have used their share"
    said = await world.alice.comments(tasks[0], "/priority P1")
    await rest(world, bots)
    assert [one.content for one in said.reactions] == ["eyes"], "the answer does not wait behind them"

    while await waiting(world) or any(world.status(task) != "done" for task in tasks):
        assert world.clock.now() < START + timedelta(minutes=40)
        world.clock.advance(70)
        await rest(world, bots)
    assert all(len([c for c in task.comments if "orchestrator:card" in c.body]) == 1 for task in tasks)

    ours = [r for r in world.hub.requests if r.installation_id == world.installation.id]
    assert [r for r in ours if r.status in (403, 429)] == [], "GitHub never had to refuse"
    together = [r for r in ours if r.operation_id == "graphql" and "mutation" in r.body["query"]]
    alone = [r for r in ours if r.method != "GET" and routes.operations[r.operation_id or ""].content]
    assert most([r.received_at.timestamp() for r in (*alone, *together)]) <= CONTENT
    assert len({r.received_at for r in together if "addComment" in r.body["query"]}) > 1, "the limit was felt"
    assert sum("dispatch" in line for line in world.written()) == 3, "nothing twice"
    await says_what_is_left(world)


async def test_when_one_has_to_wait_the_rest_of_its_task_waits_with_it_without_asking(world: World) -> None:
    """Each of them would only hear the same, and with a hundred tasks that alone would fill the line."""
    issue = await world.files("Think about rates", "Some day.")
    words = [f"Word {n}." for n in range(4)]
    world.hub.faults.fail_response("issues/create-comment", "403-secondary", seconds=60)
    async with world.bot.work.begin(world.shop.id) as unit:
        await unit.session.enqueue_effects(issue.number, *(Comment(issue.number, word, word) for word in words))
    await world.settle()
    columns = select(t.outbox.c.not_before, t.outbox.c.error).where(t.outbox.c.state == "pending")
    async with world.bot.database.autocommit() as connection:
        held = (await connection.execute(columns)).all()
    assert len(held) == len(words)
    assert all(row.not_before is not None and row.not_before > world.clock.now() for row in held)
    assert sum(row.error is not None for row in held) == 2, "GitHub refused the first, our own line the second"
    await world.advance(minutes=2)
    said = [comment.body for comment in issue.comments]
    assert [sum(word in text for text in said) for word in words] == [1, 1, 1, 1]
    world.ignore_writes("only the outcome matters")


async def waiting(world: World) -> set[str]:
    """The kinds of effects that wait to be sent."""
    async with world.bot.database.autocommit() as connection:
        return set((await connection.execute(select(t.outbox.c.kind).where(t.outbox.c.state == "pending"))).scalars())


async def says_what_is_left(world: World) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{world.address}/metrics") as answer:
        page = await answer.text()
    left = f'orchestrator_github_rate_limit_remaining{{credential="installation:{world.installation.id}",limit='
    [core] = [line for line in page.splitlines() if line.startswith(f'{left}"core"}}')]
    used = [r for r in world.hub.requests if r.installation_id == world.installation.id]
    assert 5000 - len(used) <= float(core.split()[-1]) <= 5000
    assert any(line.startswith("orchestrator_github_throttled_total") for line in page.splitlines())
