"""What waits for GitHub's limits never delays what people wait for; with the real limits, on a turned clock.

There is one worker, and time passes only by sweeps and by waits in place: a waiting effect delays everything else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.database import tables as t
from core.effects.base import SetLabels, UpsertDigest
from sandbox.actors.agents import WritesFiles
from sandbox.state.models import Issue
from tests.scenarios.shop import CODE, CONFIG, CONFIG_PATH, WORKFLOWS, body, config
from tests.scenarios.world import World, open_world, story_fixture
from tests.suite import full_only

SWEEP = 1.0  # seconds between two looks at the deadlines, as in production


async def with_real_limits(world: World) -> None:
    """The bot starts again, with a second for each write."""
    world.env["GITHUB_WRITE_INTERVAL_SECONDS"] = "1"
    world.sleep_advances_clock = True
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
    return [r.received_at for r in world.hub.requests if r.operation_id == operation and r.installation_id]


@story_fixture
async def bare(tmp_path: Path, database_url: str) -> AsyncIterator[World]:
    """A repository without configuration, and without any label of ours."""
    async with open_world(tmp_path, database_url, CODE | WORKFLOWS) as world:
        await with_real_limits(world)
        yield world


async def test_the_first_task_after_installing_starts_its_agent_at_once(bare: World) -> None:
    bare.agent("codex", WritesFiles({"shop/tax.py": "TAX = 0.2\n"}), think_seconds=3600)
    issue = await bare.alice.opens_issue(bare.shop, "Add the tax rate", body(needs="tests"))
    await bare.alice.labels(issue, "task")  # the bot has not made it yet
    filed = bare.clock.now()
    await bare.alice.pushes(bare.shop, "main", {CONFIG_PATH: CONFIG})
    await runs(bare, 60)
    [started] = times(bare, "repos/create-dispatch-event")
    assert started - filed <= timedelta(seconds=5)
    written = bare.written()
    made = [line.removeprefix("label ") for line in written if line.startswith("label ")]
    assert made[:2] == ["P0", "P1"]
    assert made[-2:] == ["agent:codex", "status:in-progress"], "those that an issue is about to carry"
    assert {"conflict", "stalled", "parked", "agent:claude", "task"}.isdisjoint(made)
    requests = [r for r in bare.hub.requests if "mutation CreateLabels" in str(r.body)]
    assert len(requests) == 2, "one for those that people put on by hand, one for the rest"
    assert bare.status(issue) == "in-progress"


async def test_a_start_that_has_to_wait_is_woken_at_its_slot_and_reads_nothing_before(world: World) -> None:
    world.agent("codex", WritesFiles({"shop/tax.py": "TAX = 0.2\n"}), think_seconds=3600)
    await with_real_limits(world)
    world.hub.faults.fail_response("repos/create-dispatch-event", "403-secondary", seconds=30)
    filed = world.clock.now()
    for number in range(2):
        await world.alice.opens_issue(world.shop, f"Task {number}", body(needs="tests"), labels=["task"])
    await runs(world, 25)
    assert len(times(world, "repos/create-dispatch-event")) == 1, "GitHub refused the first, we the second"
    assert times(world, "actions/list-workflow-runs-for-repo") == []
    columns = select(t.outbox.c.not_before, t.outbox.c.attempts).where(t.outbox.c.kind == "StartAgent")
    async with world.bot.database.autocommit() as connection:
        waiting = (await connection.execute(columns.order_by(t.outbox.c.issue_number))).all()
    assert [row.attempts for row in waiting] == [1, 0], "only what may have been done is looked for"
    assert waiting[1].not_before.replace(microsecond=0) == filed + timedelta(seconds=30)

    await runs(world, 20)
    [_, *started] = times(world, "repos/create-dispatch-event")
    assert len(started) == 2
    assert all(timedelta(seconds=30) <= at - filed <= timedelta(seconds=37) for at in started)
    reads = times(world, "actions/list-workflow-runs-for-repo")
    assert len(reads) == 2, "both kinds of dispatch, for the start whose fate was unknown"
    assert min(reads) >= filed + timedelta(seconds=30)
    world.ignore_writes("only the outcome matters")


@pytest.mark.parametrize("many", [40, *full_only(200)])
async def test_labels_a_digest_and_a_retrospective_delay_neither_a_start_nor_an_answer(world: World, many: int) -> None:
    world.agent("codex", WritesFiles({"shop/tax.py": "TAX = 0.2\n"}))
    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: config(digest={"interval": "6h"})})
    first = await world.files("Add the tax rate", body(needs="tests"))
    questions = [await world.alice.opens_issue(world.shop, f"Question {n}", "Why?") for n in range(many)]
    await world.settle()
    await with_real_limits(world)

    async with world.bot.work.begin(world.shop.id) as unit:
        for issue in questions:
            await unit.session.enqueue_effects(issue.number, SetLabels(issue.number, ("P1",)))
        await unit.session.enqueue_effects(0, UpsertDigest())
    await world.alice.comments(first, "/retro")
    await runs(world, 5)
    assert labelled(questions) < 20, "the others wait"
    began = world.clock.now()
    await world.alice.opens_issue(world.shop, "Show prices", body(needs="tests"), labels=["task"])
    said = await world.alice.comments(first, "/status")
    await runs(world, 10)
    assert times(world, "repos/create-dispatch-event")[-1] - began <= timedelta(seconds=3)
    [answer] = [c for c in first.comments if c.user is world.app.bot and c.created_at >= began and "card" not in c.body]
    assert max(answer.created_at, said.reactions[0].created_at) - began <= timedelta(seconds=3)

    await runs(world, many + 60)
    assert labelled(questions) == many
    kinds = {name for issue in world.shop.issues.values() for name in issue.label_names}
    assert {"orchestrator-digest", "retrospective"} <= kinds, "no effect waits for ever"
    assert [r for r in world.hub.requests if r.status in (403, 429)] == [], "GitHub never had to refuse"
    world.ignore_writes("only the outcome matters")


def labelled(issues: list[Issue]) -> int:
    return sum("P1" in issue.label_names for issue in issues)
