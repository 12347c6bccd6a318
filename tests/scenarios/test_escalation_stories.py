"""An escalation: first the code owner, then the person on call; one answers; the cause ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import select

from adapters.database import tables as t
from bot.cli.dead_letters import format_dead_letter, list_dead_letters, retry_dead_letters
from sandbox.actions.scripted_result import ScriptedResult
from sandbox.actors.agents import WritesFiles
from tests.scenarios.shop import CONFIG_PATH, FILES, body, config
from tests.scenarios.world import World, open_world, story_fixture

ON_CALL = {"people": ["carol", "dave"], "start": "2026-02-23", "rotation": "1w"}  # the stories begin in dave's week
CALLED = config(limits={"max_attempts": 1}, escalation={"fallback": ["alice"], "on_call": ON_CALL})
OWNERS = "* @alice\n/shop/ @bob @acme/shop\n"


@story_fixture
async def owned(tmp_path: Path, database_url: str) -> AsyncIterator[World]:
    """The shop with code owners, and people on call."""
    async with open_world(tmp_path, database_url, {**FILES, CONFIG_PATH: CALLED, "CODEOWNERS": OWNERS}) as it:
        yield it


async def calls(world: World) -> list[dict[str, Any]]:
    """The calls that were kept."""
    async with world.bot.database.transaction() as connection:
        found = await connection.execute(select(t.escalations).order_by(t.escalations.c.id))
        return [dict(row) for row in found.mappings()]


async def test_code_owners_then_on_call_are_notified_until_one_answers(owned: World) -> None:
    world = owned
    bob, dave = world.person("bob", "write"), world.person("dave", "triage")
    world.agent("codex", WritesFiles({"shop/tax.py": "RATE = 19\n"}))
    world.ci(lambda run: ScriptedResult.failure())
    issue = await world.files("Add the tax rate", body(needs="tests", files="shop/cart.py"))
    assert world.written()[-4:] == [
        "#1 comment: @bob @acme/shop **this task needs a person.**",
        "#1 assigned to bob",
        "#1 labels status:failed",
        "#1 card edited",
    ]
    assert issue.assignees == [bob]
    assert "`bob`, `acme/shop` (code owners) since 2026-03-02 09:00 UTC; no answer yet" in world.card(issue)
    mallory, [first_call] = world.person("mallory"), [comment for comment in issue.comments if "@bob" in comment.body]
    await world.says(issue, "Is it me?", author=mallory)
    await mallory.reacts(first_call, "eyes")

    await world.advance(minutes=5)
    assert world.written() == [
        "#1 comment: @dave **this task still needs a person.**",
        "#1 assigned to dave",
        "#1 card edited",
    ]
    [call] = [comment for comment in issue.comments if "@dave" in comment.body]
    for number in range(12):  # those who may not answer neither answer nor hide an answer
        await world.person(f"stranger-{number}").reacts(call, "+1")
    await dave.reacts(call, "eyes")
    await world.advance(minutes=5)
    assert world.written() == ["#1 card edited"], "the reaction was read, and alice is left alone"
    assert "`dave` has acknowledged it" in world.card(issue)

    await world.advance(hours=2)
    assert world.written() == ["#1 comment: @dave **this task still needs a person.** You acknowledged it 2 h ago:"]
    world.ci()
    await world.says(issue, "/retry", author=bob)
    assert (world.status(issue), "needs-human" in issue.label_names) == ("done", False)
    assert world.written()[-2:] == ["#1 labels status:done", "#1 card edited"]

    [row] = await calls(world)
    assert (row["cause"], row["notified"], row["resolution"]) == ("attempts", ["bob", "acme/shop", "dave"], "fixed")
    assert (row["acknowledged_by"], len(row["steps"])) == ("dave", 3)
    assert (row["delivered_at"] - row["raised_at"]).total_seconds() < 1
    assert row["ended_at"] > row["acknowledged_at"] > row["delivered_at"]
    events = await world.events(issue)
    assert (events.count("escalated"), events.count("acknowledged"), events.count("escalation_ended")) == (2, 1, 1)
    page = (await world.bot.metrics.render(world.bot.database, world.clock.now())).decode()
    assert 'orchestrator_escalation_seconds_count{channel="github"} 3.0' in page
    assert "orchestrator_escalations_open 0.0" in page


async def test_a_reply_is_enough_and_a_lost_response_notifies_no_one_twice(world: World) -> None:
    carol = world.person("carol", "write")
    issue = await world.files("Add the tax rate", body(needs="docs", depends_on="#99"))
    world.ignore_writes("set-up")
    world.hub.faults.fail_response("issues/create-comment", "500-done")
    await world.says(issue, "/escalate The staging server is down.", author=carol)
    await world.advance(minutes=1)
    called = [comment for comment in issue.comments if "@alice" in comment.body]
    assert len(called) == 1
    assert issue.assignees == [world.alice]
    world.ignore_writes("the escalation")

    await world.says(issue, "I have a look.")
    assert "`alice` has acknowledged it" in world.card(issue)
    await world.advance(minutes=30)
    assert world.written() == ["#1 card edited"]
    await world.says(issue, "/ack")
    assert "needs-human" not in issue.label_names
    world.ignore_writes("the answer to /ack")
    assert [row["resolution"] for row in await calls(world)] == ["acknowledged"]


class Receivers:
    """A webhook and Slack: what each got, and how Slack is today."""

    def __init__(self) -> None:
        self.got: dict[str, list[dict[str, Any]]] = {"webhook": [], "slack": []}
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.status = 200

    async def webhook(self, request: web.Request) -> web.Response:
        self.got["webhook"].append(await request.json())
        self.arrived.set()
        return web.Response()

    async def slack(self, request: web.Request) -> web.Response:
        await self.release.wait()
        self.got["slack"].append(await request.json())
        return web.Response(status=self.status)


async def test_a_channel_that_hangs_delays_no_other_and_a_dead_one_is_kept_and_sent_again(world: World) -> None:
    receivers = Receivers()
    application = web.Application()
    application.router.add_post("/webhook", receivers.webhook)
    application.router.add_post("/slack", receivers.slack)
    async with TestServer(application) as server:
        await world.stop()
        world.env |= {
            "ALERT_WEBHOOK_URL": str(server.make_url("/webhook")),
            "ALERT_WEBHOOK_SECRET": "a-secret-of-the-webhook",
            "ALERT_SLACK_URL": str(server.make_url("/slack")),
        }
        world.workers = 3
        await world.start()
        channels = ["slack", "webhook", "email", "log"]
        await world.configures(config(escalation={"fallback": ["alice"], "channels": channels}))
        issue = await world.files("Add the tax rate", body(needs="docs", depends_on="#99"))
        world.ignore_writes("set-up")

        bob = world.person("bob", "write")
        saying = asyncio.create_task(world.says(issue, "/escalate The staging server is down.", author=bob))
        await asyncio.wait_for(receivers.arrived.wait(), 120)
        while not world.comments(issue):
            await asyncio.sleep(0.01)
        assert not receivers.got["slack"], "it hangs, and neither the webhook nor GitHub waited for it"
        receivers.status = 404
        receivers.release.set()
        await saying
        [told] = receivers.got["webhook"]
        assert told["title"] == "acme/shop#1 needs a person: Add the tax rate"
        assert (told["people"], told["url"]) == (["alice"], (await world.task(issue)).url)
        assert sorted(world.written()) == sorted(
            [
                "#1 reaction eyes",
                "#1 comment: @alice **this task needs a person.**",
                "#1 assigned to alice",
                "#1 reaction rocket",
                "#1 labels status:pending",
                "#1 card edited",
            ]
        )

        email, slack = sorted(await list_dead_letters(world.bot.settings), key=lambda letter: letter.subject)
        assert "set SMTP_HOST" in email.error
        assert (slack.subject, slack.attempts) == ("slack: acme/shop#1 needs a person: Add the tax rate", 1)
        assert slack.error == "Slack answered 404"
        assert "Slack answered 404" in format_dead_letter(slack)
        page = (await world.bot.metrics.render(world.bot.database, world.clock.now())).decode()
        assert 'orchestrator_dead_letters{kind="notification"} 2.0' in page
        assert 'orchestrator_escalation_seconds_count{channel="webhook"} 1.0' in page

        receivers.status = 200
        with pytest.raises(LookupError, match="no dead letter 99999"):
            await retry_dead_letters(world.bot.settings, "99999")
        assert await retry_dead_letters(world.bot.settings, slack.id) == 1
        await world.settle()
        assert [letter.id for letter in await list_dead_letters(world.bot.settings)] == [email.id]
        assert receivers.got["slack"][-1]["text"] == "acme/shop#1 needs a person: Add the tax rate"
        assert await retry_dead_letters(world.bot.settings) == 1
        await world.settle()
        assert len(await list_dead_letters(world.bot.settings)) == 1, "it was not set up meanwhile"
        assert world.written() == []
