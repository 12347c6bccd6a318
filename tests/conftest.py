"""What all tests share: one real PostgreSQL for all test processes, and an empty database for each test."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator

import psycopg
import pytest
import structlog

from adapters.database.database import Database
from tests.servers import running_postgres
from tests.suite import EXTERNAL_DATABASE

# The conformance kit's assertions tell what they compared, like those of any test.
pytest.register_assert_rewrite("tests.conformance.kit")

# Test processes may share an external server, so everything in it carries the number of the process.
TEMPLATE = f"template_{os.getpid()}"


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running server: that of `TEST_DATABASE_URL`, or an embedded one of our own."""
    if external := os.environ.get(EXTERNAL_DATABASE):
        yield external
        return
    with running_postgres() as url:
        yield url


def database_url_for(url: str, name: str) -> str:
    """The same server, another database."""
    base, separator, query = url.partition("?")
    return f"{base.rsplit('/', 1)[0]}/{name}{separator}{query}"


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """A database with all tables, to copy from."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
        connection.execute(f"CREATE DATABASE {TEMPLATE}")

    async def migrate() -> None:
        database = Database(database_url_for(postgres, TEMPLATE))
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    return TEMPLATE


@pytest.fixture(scope="session")
def common_database(postgres: str, template: str) -> Iterator[str]:
    """The URL of a database that the tests of this process use one after the other."""
    name = f"test_{os.getpid()}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield database_url_for(postgres, name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


# Only tables that have anything in them, because each costs a millisecond.
EMPTY_DATABASE = """
DO $$
DECLARE
    name text;
    filled boolean;
    names text[] := '{}';
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO filled;
        IF filled THEN names := names || format('%I', name); END IF;
    END LOOP;
    IF cardinality(names) > 0 THEN
        -- The audit trail refuses to be emptied; a test that is over need not keep it.
        SET LOCAL session_replication_role = replica;
        EXECUTE 'TRUNCATE ' || array_to_string(names, ', ') || ' RESTART IDENTITY CASCADE';
    END IF;
END $$
"""


@pytest.fixture
def database_url(common_database: str) -> Iterator[str]:
    """The URL of a database with all tables and nothing in them. Emptying one takes a tenth of making one."""
    yield common_database
    with psycopg.connect(common_database, autocommit=True) as connection:
        connection.execute(EMPTY_DATABASE)


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """Logs of a failing test as people read them, without the locals of half the libraries.

    For each test again: one that tries the command line sends them to a stream that is closed afterwards.
    """
    structlog.reset_defaults()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )
