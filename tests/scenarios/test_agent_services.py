"""Agents outside GitHub: services that are asked how it goes, and that may have no credit left."""

from typing import Any

from sandbox.actors.agents import AgentWork, FinishesWithoutPull, WritesFiles
from sandbox.providers import OutOfCredit, ServiceServer
from tests.scenarios.shop import body, config
from tests.scenarios.world import World
from tests.scenarios.writes import merge_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}


def agent(preset: str, **more: Any) -> dict[str, Any]:
    return {"adapter": "http", "preset": preset, "capabilities": ["tests"], **more}


async def opened(world: World, **agents: Any) -> ServiceServer:
    """The services, with these agents and none besides."""
    services = await world.services()
    await world.configures(config(agents=agents))
    return services


async def test_a_service_does_a_task(world: World) -> None:
    """It is asked every minute, its answer is its acknowledgement, and its pull request comes from our branch."""
    services = await opened(world, cursor=agent("cursor"))
    cursor = services.agent("cursor", WritesFiles(TAX), key="cursor-key", start_delay_seconds=70, think_seconds=60)

    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.written() == ["label agent:cursor", "#1 labels status:in-progress", "#1 card"]
    [session] = cursor.sessions
    assert f"[run]({services.url('cursor')}/pages/{session.id})" in world.card(issue)
    assert session.body["source"] == {"repository": f"{world.hub.url}/acme/shop", "ref": "main"}
    assert session.body["target"] == {"branchName": "task/1-1", "autoCreatePr": True}

    await world.advance(minutes=1)
    assert (await world.task(issue)).lease.acknowledged_at is None, "it has not begun"  # type: ignore[union-attr]
    await world.advance(minutes=1)
    assert (await world.task(issue)).lease.acknowledged_at is not None  # type: ignore[union-attr]
    assert world.written() == []
    await world.advance(minutes=1)

    assert world.status(issue) == "done"
    assert world.written() == ["check conflict-first: success", *merge_lines(1, 2)]
    assert world.shop.git.read("main", "shop/tax.py") == TAX["shop/tax.py"]
    assert [path for _, method, path in services.requests if method == "GET"] == [f"/v0/agents/{session.id}"] * 2


async def test_a_pull_request_that_says_nothing_is_known_by_its_session(world: World) -> None:
    """Its branch is its own, its words close nothing, and its agent holds two tasks: the service says whose it is."""
    services = await opened(world, jules=agent("jules", max_tasks=2))
    jules = services.agent(
        "jules", WritesFiles(TAX, title="Improve", text="Improved."), key="jules-key", think_seconds=30
    )
    first = await world.files("Add the tax rate", body(needs="tests"))
    jules.script = WritesFiles({"shop/fee.py": "FEE = 1\n"}, title="Improve", text="Improved.")
    second = await world.files("Add a fee", body("A fee.", needs="tests"))

    await world.advance(minutes=1)

    assert {world.status(first), world.status(second)} == {"done"}
    assert all(session.branch.startswith("jules-") for session in jules.sessions)
    for issue, session in zip((first, second), jules.sessions, strict=True):
        pull = (await world.task(issue)).pull
        assert pull is not None
        assert pull.number == session.pull
    assert world.shop.git.read("main", "shop/fee.py") == "FEE = 1\n"
    world.ignore_writes("only the outcome matters")


async def test_a_service_is_not_believed_about_the_work_of_others(world: World) -> None:
    """It names a pull request that was there before: nothing of that is taken for its work, let alone merged."""
    services = await opened(world, cursor=agent("cursor"))
    await world.alice.pushes(world.shop, "mine", {"mine.txt": "mine\n"}, "Mine")
    mine = await world.alice.opens_pull(world.shop, head="mine", title="My own thing")
    world.clock.advance(60)
    services.agent("cursor", FinishesWithoutPull(), key="cursor-key", think_seconds=30, claimed_pull=mine.number)

    issue = await world.files("Add the tax rate", body(needs="tests"))
    await world.advance(minutes=1)

    [failed] = (await world.task(issue)).history
    assert (failed.pull, failed.reason) == (None, "The run ended without a pull request")
    assert not mine.merged
    world.ignore_writes("only the outcome matters")


async def test_without_credit_no_agent_is_blamed(world: World) -> None:
    """A service that is out of credit, at the start or in the middle, hands the task on without a failed attempt."""

    async def until_the_money_is_gone(work: AgentWork) -> None:
        await work.think(30)
        raise OutOfCredit

    codex = {"adapter": "actions", "event": "agent-task", "capabilities": ["tests"]}
    speedy = {"prefers": ["speed"]}  # so they are asked first
    services = await opened(world, codex=codex, cursor=agent("cursor", **speedy), devin=agent("devin", **speedy))
    cursor = services.agent("cursor", WritesFiles(TAX), key="cursor-key")
    cursor.faults.append("402")
    devin = services.agent("devin", until_the_money_is_gone, key="devin-key")
    world.agent("codex", WritesFiles(TAX))

    issue = await world.files("Add the tax rate", body(needs="tests", wishes="speed"))
    assert len(devin.sessions) == 1, "the first had no credit to begin with"
    await world.advance(minutes=1)
    await world.advance(minutes=1)

    task = await world.task(issue)
    told = [(a.agent, a.outcome, a.counts_against_agent, a.reason) for a in task.history[:2]]
    assert told == [
        ("cursor", "unavailable", False, "Cursor is out of credit or quota: out of credits"),
        ("devin", "unavailable", False, "Devin cannot continue: its credit is used up"),
    ]
    assert (world.status(issue), task.failure_count) == ("done", 0)
    world.ignore_writes("only the outcome matters")
