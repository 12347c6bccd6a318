"""The stage for the tests of the agents' workflow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflows.agent_kit import Stage, api_server


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with api_server() as api:
        yield Stage(tmp_path, api)
