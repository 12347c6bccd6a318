"""Two replicas as an operator runs them: `serve` twice on one DATA_DIR, with one embedded PostgreSQL and one mirror."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.actors.agents import ScriptedAgent, WritesFiles
from tests.process.test_serve import Site, files_a_task, site, until
from tests.scenarios.shop import body

__all__ = ["site"]  # the fixture

pytestmark = pytest.mark.full


async def test_one_is_killed_with_work_in_hand_and_the_other_goes_on(
    site: Site, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The one that is killed started the database, and waits for GitHub's answer to what GitHub has done already."""
    site.hub.agents["claude"] = ScriptedAgent(WritesFiles({"README.md": "# The shop\n"}))
    server = tmp_path / "data" / "postgres" / "postmaster.pid"
    site.hub.faults.fail_response("repos/create-dispatch-event", "hang-done", seconds=600)
    async with site.bot() as mortal:
        first = await files_a_task(site)
        await until(lambda: len(site.hub.agents["codex"].work_items) == 1)
        async with site.bot() as survivor:
            before = server.read_text().splitlines()[0]
            await mortal.kill()
            killed = asyncio.get_running_loop().time()
            second = await site.alice.opens_issue(site.shop, "Say it", body(needs="docs"), labels=["task"])
            await until(lambda: site.done(first) and site.done(second))
            record_property("seconds_until_both_are_done_after_the_kill", asyncio.get_running_loop().time() - killed)
            assert server.read_text().splitlines()[0] == before, "the database was started again"
            assert await survivor.terminate() == 0
    assert not server.exists(), "the last one to leave has not stopped the database"
    assert [len(site.hub.agents[name].work_items) for name in ("codex", "claude")] == [1, 1]
    assert site.asked("repos/create-dispatch-event") + site.asked("actions/create-workflow-dispatch") == 2
    assert site.asked("pulls/merge") == len(site.merged()) == 2
    for issue in (first, second):
        assert len([c for c in issue.comments if "orchestrator:card" in c.body]) == 1
