"""An agent is lost, late, out of credit, or its service is down: another one goes on, and the first may come back."""

from __future__ import annotations

from typing import Any

import aiohttp

from adapters.database import agents
from sandbox.actors.agents import Stalls
from sandbox.providers import ServiceServer
from sandbox.providers.sessions import ServiceAgent
from tests.scenarios.shop import body, config
from tests.scenarios.world import World

TAX = {"shop/tax.py": "RATE = 0.19\n"}
TOKEN = "a-token-of-ada-that-is-hard-to-guess"
CLAUDE = {"adapter": "actions", "workflow": "agent.yml", "capabilities": ["python"], "max_tasks": 3}
ADA = {"adapter": "pull", "capabilities": ["python"]}
CURSOR = {"adapter": "http", "preset": "cursor", "capabilities": ["python"], "max_tasks": 3}
FAIR = {
    "priority": 0,
    "capability": 0,
    "load": 0,
    "fairness": 1,
}  # the agent with fewer tasks, then by name


async def restarted(world: World, **env: str) -> None:
    """The bot runs with these settings besides its own."""
    await world.stop()
    world.env = {**world.env, **env}
    await world.start()
    await world.settle()


async def beats(world: World, token: str = TOKEN, **changes: Any) -> tuple[int, dict[str, Any]]:
    """Ada says that she is working on the first attempt at #1, and gets an answer."""
    told = {"repository": "acme/shop", "task": 1, "attempt": 1, "agent": "ada", **changes}
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{world.address}/internal/agent/heartbeat"
    async with aiohttp.ClientSession() as http, http.post(address, json=told, headers=headers) as answer:
        status, said = answer.status, await answer.json()
    await world.settle()
    return status, said


async def measured(world: World, name: str) -> str:
    """The value of a metric."""
    async with aiohttp.ClientSession() as http, http.get(f"{world.address}/metrics") as page:
        [value] = [line.rpartition(" ")[2] for line in (await page.text()).splitlines() if line.startswith(f"{name} ")]
    return value


async def test_one_dies_at_work_and_another_goes_on(world: World) -> None:
    """A slow agent that gives signs of life is left alone, a silent one replaced; who comes back steals nothing."""
    await restarted(world, AGENT_TOKENS=f"acme/shop/ada={TOKEN}")
    await world.configures(config(agents={"ada": ADA, "claude": CLAUDE}, scoring=FAIR))
    claude = world.agent("claude", Stalls())
    issue = await world.files("Add the tax rate", body(needs="python"))
    assert (await world.task(issue)).lease is not None
    world.ignore_writes("set-up")
    for _ in range(3):
        status, said = await beats(world)
        assert (status, said["status"]) == (200, "in-progress")
        await world.advance(minutes=9)
    assert world.written() == []  # not one write for all those heartbeats
    status, said = await beats(world, state="bored")
    assert status == 400
    assert said["error"].startswith("`state`: Input should be 'queued', 'working'")
    assert claude.work_items == []

    await world.advance(minutes=1)  # ten without a heartbeat: ada would be polled, but cannot be
    assert claude.work_items == []
    await world.advance(seconds=31)
    [work] = claude.work_items
    assert work.packet["feedback"]["title"] == "ada gave no sign of life"
    assert [(a["agent"], a["outcome"], a["branch"]) for a in work.packet["history"]] == [("ada", "silent", "task/1-1")]
    assert work.packet["goal"] == "Make it so."
    assert world.written() == [
        "dispatch task/1-2 to claude",
        "#1 comment: ada gave no sign of life",
        "#1 labels status:in-progress",
        "#1 card edited",
        "#1 card edited",  # with the address of claude's run
    ]
    events = await world.events(issue)
    told = ["agent_failed", "conflict_detected", "task_reassigned", *["task_acknowledged"] * 2]
    assert events[events.index("agent_failed") :] == told
    assert await measured(world, 'orchestrator_agents_by_state{repository="acme/shop",state="error"}') == "1.0"
    assert await measured(world, "reassignments_total") == "1.0"
    assert await measured(world, 'orchestrator_failover_seconds_bucket{le="5.0"}') == "1.0"

    before = await world.task(issue)
    status, said = await beats(world, state="delivered")
    assert status == 409
    assert "stop working on it" in said["error"]
    assert (await world.task(issue)) == before
    assert (await world.events(issue))[-2:] == ["late_result", "agent_recovered"]
    await world.alice.pushes(world.shop, "task/1-1", TAX)
    await world.settle()
    assert (await world.events(issue))[-1] == "late_result"
    assert (await world.task(issue)) == before
    assert world.written() == []
    assert await measured(world, 'orchestrator_agents_by_state{repository="acme/shop",state="error"}') == "0.0"


async def test_no_agent_is_blamed_for_an_outage_of_the_bot(world: World) -> None:
    """The bot was away for an hour. It looks first; what it missed several times it does once."""
    await restarted(world, AGENT_TOKENS=f"acme/shop/ada={TOKEN}")
    calling = {"fallback": ["alice", "bob"], "timeout": "20m"}
    team = {"ada": ADA, "claude": CLAUDE}
    await world.configures(config(agents=team, scoring=FAIR, escalation=calling, digest={"interval": "15m"}))
    claude = world.agent("claude", Stalls())
    issue = await world.files("Add the tax rate", body(needs="python"))
    await beats(world)
    stuck = await world.files("Sell it", body(needs="python", depends_on="#1"))
    await world.says(stuck, "/escalate Legal has to agree.")
    await world.advance(minutes=8)
    await beats(world)
    await world.advance(minutes=8)
    await world.files("Print it", body(needs="python", depends_on="#1"))
    world.ignore_writes("the missed heartbeats and the waiting task")

    await world.stop()
    world.clock.advance(3600)
    await world.start()
    await world.settle()
    [once] = world.written()
    assert '{"body"' in once, "four pages of progress were due, and one is written"
    await world.advance(minutes=1)
    assert world.written() == []
    assert (await world.task(issue)).attempt == 1
    await world.advance(minutes=1)
    assert [text for text in world.comments(stuck) if "@bob" in text], "no person answered: the next is notified, once"
    await world.advance(minutes=5)
    status, _ = await beats(world)
    assert (status, claude.work_items) == (200, [])
    await world.advance(minutes=10)
    await world.advance(seconds=31)
    assert len(claude.work_items) == 1, "who says nothing once we listen again is replaced as ever"
    world.ignore_writes("the replacement of the agent")


async def test_whose_heartbeat_counts(world: World) -> None:
    """No agent can report for another, and a refusal has its reason."""
    assert (await beats(world))[0] == 503
    await restarted(world, AGENT_TOKENS=f"ada={TOKEN}, acme/other/claude={TOKEN[::-1]}")
    await world.configures(config(agents={"ada": ADA, "claude": CLAUDE}, scoring=FAIR))
    issue = await world.files("Add the tax rate", body(needs="python"))
    world.ignore_writes("set-up")
    before = await world.task(issue)
    assert (await beats(world, token="guessed"))[0] == 401
    assert (await beats(world, token="guessed", task="x"))[0] == 401
    assert (await beats(world, agent="claude"))[0] == 403
    assert (await beats(world, token=TOKEN[::-1], agent="claude"))[0] == 403
    assert (await beats(world, task=77))[0] == 404
    assert (await beats(world, repository="acme/unknown"))[0] == 404
    assert (await beats(world, message="x" * 70_000))[0] == 413
    assert (await beats(world, attempt=7))[0] == 409
    assert (await world.task(issue)) == before
    assert (await world.events(issue))[-1] == "late_result"
    assert (await beats(world, repository="Acme/Shop", state="failed", message="I am stuck, @alice"))[0] == 200
    assert (await world.task(issue)).history[-1].reason == "The run ended with failed (I am stuck, @\u200balice)"
    world.ignore_writes("the end of the attempt")


async def cursor(world: World) -> ServiceAgent:
    """The service Cursor beside the sandbox, and the bot with its key."""
    services = await ServiceServer.open(world.hub)
    agent = services.agent("cursor", Stalls(), key="crsr-key")
    await restarted(world, CURSOR_API_KEY="crsr-key", CURSOR_API_URL=services.url("cursor"))
    await world.configures(config(agents={"cursor": CURSOR, "claude": CLAUDE}, scoring=FAIR))
    return agent


async def test_one_is_out_of_credit_and_cools_down(world: World) -> None:
    agent = await cursor(world)
    claude = world.agent("claude", Stalls())
    first = await world.files("Add the tax rate", body(needs="python"))
    assert [work.task for work in claude.work_items] == [1]  # the first by name
    agent.faults.append("402")
    second = await world.files("Add the next rate", body(needs="python"))
    assert [work.task for work in claude.work_items] == [1, 2]
    [attempt] = (await world.task(second)).history
    assert (attempt.agent, attempt.outcome, attempt.counts_against_agent) == ("cursor", "unavailable", False)
    third = await world.files("Add the last rate", body(needs="python"))
    assert [work.task for work in claude.work_items] == [1, 2, 3]
    fourth = await world.files("Add one more", body(needs="python"))
    assert world.status(fourth) == "ready"
    assert "takes no work until 2026-03-02 09:15" in world.card(fourth)
    assert agent.sessions == []
    agent.faults.append("402")
    await world.says(fourth, "/agents resume cursor")  # a user thinks that it has credit again: it is tried at once
    assert [(a.agent, a.outcome) for a in (await world.task(fourth)).history] == [("cursor", "unavailable")]
    assert world.status(fourth) == "ready"
    world.ignore_writes("the cool-down, asserted above")

    await world.advance(minutes=15)  # no event reports it: the bot checks again by itself
    assert world.status(fourth) == "in-progress"
    assert len(agent.sessions) == 1
    assert world.written() == ["label agent:cursor", "#4 labels status:in-progress", "#4 card edited"]
    assert all([(await world.task(issue)).failure_count == 0 for issue in (first, second, third, fourth)])


async def test_a_service_is_down_and_left_alone_for_a_while(world: World) -> None:
    agent = await cursor(world)
    claude = world.agent("claude", Stalls())
    await world.files("Keep claude busy", body(needs="python"))
    agent.faults.extend(["502-not-done"] * 5)
    issue = await world.files("Add the tax rate", body(needs="python"))
    for seconds in (2, 3, 6, 12, 21):
        await world.advance(seconds=seconds)
    assert [work.task for work in claude.work_items] == [1, 2]
    assert (await world.task(issue)).history[-1].outcome == "unavailable"
    assert await measured(world, 'orchestrator_circuit_breaker_open{circuit="http:cursor"}') == "1.0"
    await world.says(issue, "/agents")
    assert "| error: is paused until" in world.comments(issue)[-1]
    await world.files("Add the last rate", body(needs="python"))
    assert [work.task for work in claude.work_items] == [1, 2, 3]
    waits = await world.files("Add one more", body(needs="python"))
    assert world.status(waits) == "ready"

    await world.advance(minutes=1)
    await world.advance(minutes=1)
    assert world.status(waits) == "in-progress"
    assert len(agent.sessions) == 1
    assert (await world.task(waits)).failure_count == 0
    async with world.bot.database.transaction() as connection:
        assert await agents.load_circuits(connection) == {}
    world.ignore_writes("only the outcome matters")
