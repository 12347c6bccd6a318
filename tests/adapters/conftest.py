"""The fixtures that several tests of the adapters share."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from adapters.database import tables as t
from adapters.database.database import Database

REPOSITORY = 42


@pytest.fixture
async def connection(database_url: str) -> Any:
    """A transaction in a new database that has one repository."""
    database = Database(database_url)
    async with database.transaction() as connection:
        values = {"id": REPOSITORY, "installation_id": 1, "full_name": "acme/shop", "default_branch": "main"}
        await connection.execute(insert(t.repositories).values(values))
        yield connection
    await database.close()
