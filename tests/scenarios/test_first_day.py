"""What waits for GitHub's limits never delays what people wait for; with the real limits, on a turned clock.

There is one worker, and time passes only by sweeps and by waits in place: whoever waits holds up everything else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sandbox.agents import WritesFiles
from tests.scenarios.shop import CODE, CONFIG, CONFIG_PATH, WORKFLOWS, body
from tests.scenarios.world import World, opened

SWEEP = 1.0  # seconds between two looks at the deadlines, as in production


async def with_real_limits(world: World) -> None:
    """The bot starts again, with a second for each write."""
    world.env["WRITE_SECONDS"] = "1"
    world.turns = True
    await world.stop()
    await world.start()
    await world.settle()


async def runs(world: World, seconds: float) -> None:
    """The bot runs for so long."""
    until = world.clock.now() + timedelta(seconds=seconds)
    while world.clock.now() < until:
        await world.settle()
        world.clock.advance(SWEEP)
    await world.settle()


def times(world: World, operation: str) -> list[datetime]:
    """When the bot asked for this."""
    return [r.at for r in world.hub.requests if r.operation_id == operation and r.installation_id]


@pytest.fixture
async def bare(tmp_path: Path, database_url: str) -> AsyncIterator[World]:
    """A repository without configuration, and without any label of ours."""
    async with opened(tmp_path, database_url, CODE | WORKFLOWS) as world:
        await with_real_limits(world)
        yield world


async def test_the_first_task_after_installing_starts_its_agent_at_once(bare: World) -> None:
    bare.agent("codex", WritesFiles({"shop/tax.py": "TAX = 0.2\n"}), think=3600)
    issue = await bare.alice.opens_issue(bare.shop, "Add the tax rate", body(needs="tests"))
    await bare.alice.labels(issue, "task")  # the bot has not made it yet
    await bare.alice.pushes(bare.shop, "main", {CONFIG_PATH: CONFIG})
    filed = bare.clock.now()
    await runs(bare, 60)
    [started] = times(bare, "repos/create-dispatch-event")
    print("DELAY", (started - filed).total_seconds(), "READS", len(times(bare, "actions/list-workflow-runs-for-repo")))
    made = [line.removeprefix("label ") for line in bare.written() if line.startswith("label ")]
    print(made)
    assert started - filed <= timedelta(seconds=5)
    assert {"P0", "needs:python"} <= set(made)


async def test_starts_that_have_to_wait_are_woken_at_their_slot_and_read_nothing_before(bare: World) -> None:
    bare.agent("codex", WritesFiles({"shop/tax.py": "TAX = 0.2\n"}), think=3600)
    await bare.alice.pushes(bare.shop, "main", {CONFIG_PATH: CONFIG.replace("max_tasks: 2", "max_tasks: 20")})
    await runs(bare, 30)
    bare.written()
    filed = bare.clock.now()
    for number in range(16):
        await bare.alice.opens_issue(bare.shop, f"Task {number}", body(needs="tests"), labels=["task"])
    await runs(bare, 60)
    started = [(at - filed).total_seconds() for at in times(bare, "repos/create-dispatch-event")]
    print("STARTED", started, "READS", len(times(bare, "actions/list-workflow-runs-for-repo")))
    bare.written()
