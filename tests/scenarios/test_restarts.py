"""A bot that is started again: the same program by the same settings has no reason to think all of it over."""

from __future__ import annotations

from structlog.testing import capture_logs

from config.build import build_sha
from sandbox.agents import Stalls
from tests.scenarios.shop import body
from tests.scenarios.world import World


async def _looked_at_anew(world: World) -> list[int]:
    """How many issues each comparison took in."""
    await world.stop()
    with capture_logs() as lines:
        await world.start()
        await world.settle()
    return [line["differing"] for line in lines if line["event"] == "reconciled"]


async def test_only_another_program_or_other_settings_look_at_every_task(world: World) -> None:
    assert build_sha() != "unknown"
    world.agent("codex", Stalls())
    for number in range(3):
        await world.files(f"Thing {number}", body("Make it.", needs="tests"))
    world.written()
    assert await _looked_at_anew(world) == [0]
    world.env["CARD_SECONDS"] = "17"
    assert await _looked_at_anew(world) == [3]
    assert await _looked_at_anew(world) == [0]
    assert world.written() == [], "nothing came of it"
