"""Short forms of the storm: few tasks, and all that can go wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.__main__ import run_storm
from tests.chaos.parameters import SHORT, TINY, StormParameters

SEED = 7  # one agent dies, and none hangs: that would take minutes to notice


@pytest.mark.parametrize("scale", [TINY, pytest.param(SHORT, marks=pytest.mark.full)], ids=["tiny", "short"])
async def test_a_chaos_run_ends_in_the_same_state_as_a_calm_one(tmp_path: Path, scale: StormParameters) -> None:
    await asyncio.to_thread(tmp_path.chmod, 0o755)  # the embedded server runs as another user when we are root
    summary = await run_storm(scale, SEED, tmp_path)
    assert summary["problems"] == []
    assert summary["holds"]
    assert summary["done"] + summary["failed"] + summary["behind_failed"] == scale.tasks
    assert summary["merged"] == summary["done"]
    assert summary["replicas_killed"] >= 1
    assert summary["database_killed"] >= 1
    assert {"dropped", "repeated", "500-done", "502-not-done"} <= summary["weather"].keys()
