"""The fixture of all stories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenarios.world import World, open_world, story_fixture

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all stories of a process share an event loop, and with it the connections to the database.

    To a new connection every statement is new: planning them was a third of what a short story costs.
    """
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@story_fixture
async def world(tmp_path: Path, database_url: str) -> AsyncIterator[World]:
    """A sandbox, a repository, a maintainer, and our bot."""
    async with open_world(tmp_path, database_url) as new_world:
        yield new_world
