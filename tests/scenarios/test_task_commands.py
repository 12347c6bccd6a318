"""What the holder, a maintainer and anybody else can say on a task."""

from __future__ import annotations

import yaml

from config.identities import load_families
from sandbox.actors.agents import Stalls, WritesFiles
from sandbox.services import comments
from sandbox.state.models import Issue, User
from tests.scenarios.shop import body, config
from tests.scenarios.world import World

TAX = {"shop/tax.py": "RATE = 0.19\n"}


def answer(world: World, number: int = 1) -> str:
    """The newest answer of the bot below the issue."""
    return world.comments(world.shop.issue(number))[-1].split("\n<!--")[0]


async def speaks(world: World, issue: Issue, text: str, bot: User) -> None:
    """A bot comments, and ours answers."""
    comments.create(world.hub, issue, bot, text)
    await world.settle()


async def test_agents_speak_by_their_accounts(world: World) -> None:
    """The holder's commands count; another agent's do not, and they are recorded.

    One of them by the account that its configuration names, the other by our table; a person's login says nothing.
    """
    team = yaml.safe_load(config())["agents"]
    await world.configures(config(agents={**team, "claude": {**team["claude"], "account": 555}}))
    world.agent("claude", Stalls())
    world.agent("codex", WritesFiles(TAX))
    me, other = world.hub.bot("helper[bot]", number=555), world.hub.bot("x", number=load_families()["codex"].id)
    issue = await world.files("Add the tax rate", body(needs="python"))
    assert "agent:claude" in issue.label_names
    world.ignore_writes("set-up")

    await speaks(world, issue, "/progress half of the tests pass", me)
    assert world.written() == ["#1 reaction eyes", "#1 reaction rocket", "#1 card edited"]
    assert "| **Progress** | half of the tests pass |" in world.card(issue)

    await speaks(world, issue, "/fail not mine to say", other)
    assert world.written() == [
        "#1 reaction eyes",
        "#1 reaction confused",
        "#1 comment: `claude` holds this task now (attempt 1); only the holder can use `/fail`.",
    ]
    assert (await world.events(issue))[-1] == "late_result"
    await world.says(issue, "/fail I say so", author=world.person("claude", "read"))
    assert "only the holder can use `/fail`." in world.written()[-1]

    await world.advance(minutes=9)
    await speaks(world, issue, "/heartbeat", me)
    await world.advance(minutes=9)
    assert world.status(issue) == "in-progress", "without the sign of life it would have been given up"
    world.ignore_writes("the heartbeats")

    await speaks(world, issue, "/fail the tax office has no API", me)
    assert "claude gave up" in answer(world)
    assert (await world.task(issue)).history[0].outcome == "failed"
    world.ignore_writes("the failed attempt")


async def test_a_pause_holds_the_task_and_its_clock(world: World) -> None:
    codex = world.agent("codex", WritesFiles(TAX))
    ted = world.person("ted", "triage")
    issue = await world.files("Add the tax rate", body(needs="tests", criteria=()))
    world.ignore_writes("set-up")
    await world.says(issue, "/pause until the law is passed", author=ted)
    assert world.written() == ["#1 reaction eyes", "#1 reaction rocket", "#1 labels status:pending", "#1 card edited"]
    assert "- `blocked`: Paused by ted: until the law is passed. To continue, comment `/resume`." in world.card(issue)

    await world.alice.edits_issue(issue, body=body(needs="tests"))
    await world.settle()
    await world.advance(hours=50)
    assert (world.status(issue), codex.work_items) == ("ready", [])
    assert world.written() == ["#1 labels status:ready", "#1 card edited"]
    await world.says(issue, "/next", author=world.person("rita", "read"))
    assert answer(world).startswith("The queue is empty")

    await world.says(issue, "/resume", author=ted)
    assert (world.status(issue), len(codex.work_items)) == ("done", 1)
    await world.says(issue, "/history")
    assert "| command_run | ted |  | /pause until the law is passed |" in answer(world)
    world.ignore_writes("the answers to commands")


async def test_a_maintainer_moves_a_task_from_one_agent_to_another(world: World) -> None:
    world.agent("claude", Stalls())
    codex = world.agent("codex", WritesFiles(TAX))
    issue = await world.files("Add the tax rate", body(needs="python"))
    assert "agent:claude" in issue.label_names
    world.ignore_writes("set-up")
    await world.says(issue, "/reassign")
    assert len(codex.work_items) == 1
    assert world.status(issue) == "done"
    assert (await world.task(issue)).history[0].reason == "taken from claude by @alice"
    assert "run cancelled" in world.written()
