"""The fixture of all stories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.world import World, opened


@pytest.fixture
async def world(tmp_path: Path, database_url: str) -> AsyncIterator[World]:
    """A sandbox, a repository, a maintainer, and our bot."""
    async with opened(tmp_path, database_url) as it:
        yield it
