"""A bot that is started again: the same program by the same settings has no reason to think all of it over."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from adapters.database import repositories
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from config.build import build_sha
from config.repository import CONFIG_PATH
from engine.config_sync import sync_config
from engine.forecasts import ForecastService
from engine.unit_of_work import UnitOfWorkFactory
from sandbox.actors.agents import Stalls
from scheduler import reconcile
from tests.scenarios.shop import body, config
from tests.scenarios.world import World


async def _evaluated_again(world: World) -> list[int]:
    """How many issues each comparison after a start took in."""
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
    world.ignore_writes("set-up")
    assert await _evaluated_again(world) == [0]
    world.env["CARD_DEBOUNCE_SECONDS"] = "17"
    assert await _evaluated_again(world) == [3]
    assert await _evaluated_again(world) == [0]
    assert world.written() == [], "nothing came of it"


async def test_a_configuration_not_yet_applied_is_not_forgotten(world: World) -> None:
    """The bot is killed when it has read a new configuration, and before it has looked at any task by it."""
    world.agent("codex", Stalls())
    await world.files("Thing", body("Make it.", needs="tests"))
    changed = config(timeouts={"attempt": "5h"})
    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: changed})
    await world.hub.wait_until_idle()
    await sync_config(world.bot.work, world.bot.client.installation(world.installation.id), world.shop.id, "acme/shop")
    assert await _evaluated_again(world) == [1]
    assert await _evaluated_again(world) == [0]
    world.ignore_writes("only the outcome matters")


async def test_a_configuration_that_comes_while_tasks_are_looked_at_is_not_taken_for_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot is killed when all tasks were looked at, by a configuration that another one has followed meanwhile."""
    world.agent("codex", Stalls())
    await world.files("Thing", body("Make it.", needs="tests"))

    async def meanwhile(
        work: UnitOfWorkFactory, github: GitHub, forecasts: ForecastService | None, row: RepositoryRow
    ) -> int:
        await world.alice.pushes(world.shop, "main", {CONFIG_PATH: config(timeouts={"attempt": "5h"})})
        await world.hub.wait_until_idle()
        await sync_config(work, github, row.id, row.full_name)
        return 0

    work, github = world.bot.work, world.bot.client.installation(world.installation.id)
    async with work.database.autocommit() as connection:
        row = await repositories.load_repository(connection, world.shop.id)
    assert row is not None
    with monkeypatch.context() as patch:
        patch.setattr(reconcile, "reconcile_pulls", meanwhile)
        await reconcile.reconcile(work, github, world.bot.context.forecasts, row, full=True)
    assert await _evaluated_again(world) == [1]
    assert await _evaluated_again(world) == [0]
    world.ignore_writes("only the outcome matters")
