"""The database is lost in the middle of a shop's life. It is made again from GitHub alone, and life goes on."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from bot.app import assemble
from bot.cli.restore import format_report, repositories_to_restore, restore_all
from config.settings import load_settings
from core.texts import CARD_MARKER, comment_key
from engine.card_state import CardStateCodec
from engine.restore import NotEmptyError, RestoredTask
from sandbox import ScriptedResult
from sandbox.actors.agents import WritesFiles
from sandbox.actors.agents.scripted import AgentWork
from sandbox.state.models import Issue, WorkflowRun
from tests.conftest import EMPTY_DATABASE
from tests.scenarios.shop import body
from tests.scenarios.stepping import BotClock
from tests.scenarios.world import NO_WAIT, World, shared_database


async def own_file(work: AgentWork) -> None:
    """Write a file that no other attempt writes."""
    await WritesFiles({f"shop/of{work.task}_{work.attempt}.py": "X = 1\n"})(work)


async def loses_its_database(world: World) -> None:
    """Nothing is left of it."""
    await world.stop()
    with psycopg.connect(world.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(EMPTY_DATABASE)


async def is_rebuilt(world: World) -> dict[int, RestoredTask]:
    """`orchestrator restore`, on a bot that does not run."""
    settings = load_settings(world.env, env_file=None)
    seal = CardStateCodec(settings.github_app_id, settings.github_private_key.get_secret_value())
    async with assemble(settings, BotClock(world.clock), NO_WAIT, shared_database) as bot:
        assert await repositories_to_restore(bot) == ["acme/shop"], "no bot starts on it as if it were new"
        [found] = await restore_all(bot, seal)
        assert await repositories_to_restore(bot) == []
        with pytest.raises(NotEmptyError):
            await restore_all(bot, seal)
    assert format_report(found)[0].startswith("acme/shop: ")
    return {one.number: one for one in found.issues}


def cards(world: World, issue: Issue) -> list[str]:
    """The bodies of the bot's cards."""
    return [c.body for c in issue.comments if c.user is world.app.bot and CARD_MARKER in c.body]


def keys(world: World, issue: Issue) -> list[str]:
    """The keys of the bot's other comments."""
    lines = [c.body.rstrip().rpartition("\n")[2] for c in issue.comments if c.user is world.app.bot]
    return [key for line in lines if (key := comment_key(line))]


def red_once(world: World) -> None:
    """CI takes a minute; the first run on the work for the first task is red."""
    left = [1]

    def script(run: WorkflowRun) -> ScriptedResult:
        if run.head_branch == "task/1-1" and left:
            left.pop()
            return ScriptedResult.failure(log="1 failed", seconds=60)
        return ScriptedResult.success(seconds=60)

    world.ci(script)


async def test_half_a_life_before_and_half_a_life_after(world: World) -> None:
    mallory = world.person("mallory", "read")
    red_once(world)
    codex = world.agent("codex", own_file)
    claude = world.agent("claude", WritesFiles({"docs/manual.md": "Read me.\n"}), think_seconds=600)

    retried = await world.files("Add the tax rate", body(needs="tests"))  # #1: red, so a second attempt
    await world.advance(seconds=61)
    manual = await world.files("Write the manual", body("Write.", needs="docs"))  # claude is at work for ten minutes
    held = await world.files("Sell pears", body("Sell pears.", needs="tests", depends_on=f"#{manual.number}"), "P0")
    await world.says(held, "/block until the pears are ripe")
    called = await world.files("Unclear", body("Be clear.", criteria=(), needs="tests"))
    await world.says(called, "/escalate the cause is unknown")
    edited = await world.files("Round", body("Round.", criteria=(), needs="tests"))
    await world.advance(seconds=61)
    finished = await world.files("Sell apples", body("Sell apples.", needs="tests"))
    await world.advance(seconds=30)  # it is in review, and CI runs
    world.hub.faults.fail_response("graphql", "410-disabled", times=9)  # so its labels are sent without it
    world.hub.faults.fail_response("issues/create-comment", "502-not-done", times=9)
    fresh = await world.files("Sell plums", body("Sell plums.", needs="tests"))  # begun, and its card is not there yet
    world.hub.faults.clear()
    before = {one.number: await world.task(one) for one in (retried, manual, held, called, edited, finished, fresh)}
    assert [before[one.number].status for one in (retried, manual, held, called, finished, fresh)] == [
        "done",
        "in-progress",
        "ready",
        "pending",
        "review",
        "review",
    ]
    assert cards(world, fresh) == []
    await mallory.comments(edited, cards(world, retried)[0])
    [card] = [c for c in edited.comments if c.user is world.app.bot]
    await world.alice.edits_comment(card, card.body.replace("pending", "ready"))
    dispatched = Counter((work.task, work.attempt) for work in (*codex.work_items, *claude.work_items))

    await loses_its_database(world)
    found = await is_rebuilt(world)
    restored = {n: (one.source, one.task.status.value, one.task.attempt) for n, one in found.items() if one.task}
    assert restored == {
        retried.number: ("card", "done", 2),
        manual.number: ("card", "in-progress", 1),
        held.number: ("card", "ready", 0),
        called.number: ("card", "pending", 0),
        edited.number: ("labels", "pending", 0),
        finished.number: ("card", "review", 1),
        fresh.number: ("labels", "in-progress", 1),
    }
    assert found[edited.number].note == "another account edited its card; ignored 1 forged cards"
    for number, one in found.items():
        assert one.task
        was = before[number]
        if one.source == "card":
            assert (one.task.priority, one.task.hold, one.task.escalation) == (was.priority, was.hold, was.escalation)
            assert [(a.number, a.agent, a.outcome) for a in one.task.history] == [
                (a.number, a.agent, a.outcome) for a in was.history
            ]
            assert (one.task.lease and one.task.lease.agent) == (was.lease and was.lease.agent)

    world.ignore_writes("set-up")
    await world.start()
    await world.settle()
    await world.advance(minutes=2)
    assert [world.status(one) for one in (finished, fresh)] == ["done", "done"]
    await world.advance(minutes=10)
    await world.advance(seconds=61)
    assert world.status(manual) == "done"
    await world.says(held, "/unblock")
    await world.advance(minutes=2)
    assert world.status(held) == "done"
    assert world.status(called) == "pending"

    after = Counter((work.task, work.attempt) for work in (*codex.work_items, *claude.work_items))
    assert after == dispatched | Counter({(held.number, 1): 1}), "no agent is started twice"
    for issue in world.shop.issues.values():
        assert len(cards(world, issue)) == ("task" in issue.label_names), issue.number
        assert max(Counter(keys(world, issue)).values(), default=1) == 1, issue.number
    merges = [r for r in world.hub.requests if r.operation_id == "pulls/merge" and r.status == 200]
    assert len(merges) == len({r.path for r in merges}) == 5
    assert (await world.events(retried))[0] == "task_restored"
    world.ignore_writes("the rest of the tasks' lives")
