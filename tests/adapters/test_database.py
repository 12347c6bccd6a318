"""The database: migrations against the description, embedded and external alike, and what is refused."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from adapters.database import repositories, store
from adapters.database.database import Database, DatabaseError, describe_url, engine_url
from adapters.database.embedded import DataDirectoryError, EmbeddedPostgres
from adapters.database.tables import metadata
from core.task.deadlines import task_target
from engine.clock import SyncedClock, SystemClock

EMPTY = f"empty_at_start_{os.getpid()}"
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def test_the_migrations_make_exactly_the_tables_that_the_code_describes(database: Database) -> None:
    def checks(connection: Connection) -> set[str | None]:
        inspector = inspect(connection)
        return {check["name"] for table in metadata.tables for check in inspector.get_check_constraints(table)}

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or not str(name).startswith("procrastinate_")},
        )
        return list(compare_metadata(context, metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        described = [one for table in metadata.tables.values() for one in table.constraints]
        expected = {one.name for one in described if isinstance(one, CheckConstraint)}
        assert await connection.run_sync(checks) == expected != set()


async def test_migrating_again_or_twice_at_once_changes_nothing(database: Database) -> None:
    async def tables() -> list[str]:
        async with database.transaction() as connection:
            found = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
            return sorted(found.scalars())

    before = await tables()
    await asyncio.gather(database.migrate(), database.migrate())
    assert await tables() == before


async def test_a_server_that_is_not_there_is_waited_for_and_then_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.database.database.CONNECT_RETRY_SECONDS", 0)
    unreachable = Database("postgresql://postgres:secret@127.0.0.1:1/orchestrator")
    with pytest.raises(DatabaseError, match=r"^orchestrator on 127\.0\.0\.1 cannot be reached: ") as caught:
        await unreachable.connect_and_migrate(0.05)
    assert "secret" not in str(caught.value)
    await database.connect_and_migrate(0)


async def test_a_transaction_that_sleeps_gives_up_what_it_had_locked(database: Database) -> None:
    """Without it a suspended replica keeps all others from its repository for as long as it sleeps."""
    asleep = Database(database.url, idle_transaction_seconds=0.02)
    lock = text("SELECT pg_advisory_xact_lock(7)")

    async def sleeps() -> None:
        async with asleep.transaction() as connection:
            await connection.execute(lock)
            async with database.transaction() as other:
                await other.execute(lock)  # it waits for as long as the sleeper has it
            await connection.execute(text("SELECT 'now it wakes'"))

    with pytest.raises(DBAPIError, match="idle-in-transaction"):
        await sleeps()
    await asleep.close()


async def test_all_replicas_have_the_database_s_time(database: Database) -> None:
    class Slow(SystemClock):
        def now(self) -> datetime:
            return super().now() - timedelta(hours=3)

    clock = SyncedClock(database.now, Slow())
    before = await database.now()
    assert clock.now() < before - timedelta(hours=2)
    assert await clock.sync() > timedelta(hours=2)
    assert abs(clock.now() - before) < timedelta(hours=1)


async def test_a_connection_that_died_while_it_was_idle_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.database.database.IDLE_SECONDS", 0.0)
    me = text("SELECT pg_backend_pid()")
    async with database.transaction() as connection:
        before = (await connection.execute(me)).scalar_one()
    other = Database(database.url)
    async with other.transaction() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": before})
    await other.close()
    async with database.transaction() as connection:
        assert (await connection.execute(me)).scalar_one() != before


async def test_two_replicas_may_find_an_empty_database_at_once(postgres: str) -> None:
    from tests.conftest import database_url_for

    admin = Database(postgres)
    async with admin.engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(text(f"CREATE DATABASE {EMPTY}"))
    first, second = (Database(database_url_for(postgres, EMPTY)) for _ in range(2))
    await asyncio.gather(first.migrate(), second.migrate())
    async with first.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM procrastinate_jobs"))).scalar_one() == 0
        assert (await connection.execute(text("SELECT count(*) FROM tasks"))).scalar_one() == 0
    await first.close()
    await second.close()
    async with admin.engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(text(f"DROP DATABASE {EMPTY}"))
    await admin.close()


async def test_tables_newer_than_the_program_stop_the_start(database: Database) -> None:
    async def becomes(revision: str) -> str:
        async with database.transaction() as connection:
            before = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
            await connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
        return str(before)

    ours = await becomes("9999")
    try:
        with pytest.raises(DatabaseError, match="9999.*install the newer version"):
            await database.migrate()
    finally:
        await becomes(ours)


@pytest.mark.parametrize("url", ["mysql://root@localhost/x", "sqlite:///x.db", "localhost:5432"])
def test_only_postgresql_is_taken(url: str) -> None:
    with pytest.raises(DatabaseError, match="not a PostgreSQL URL"):
        engine_url(url)


def test_a_url_is_described_without_its_password() -> None:
    assert describe_url("postgresql://bot:secret@db.example.com/orchestrator") == "orchestrator on db.example.com"


async def test_a_transaction_that_fails_leaves_nothing_behind(database: Database) -> None:
    async def fails() -> None:
        async with database.transaction() as connection:
            await store.set_deadline(connection, 1, task_target(1), "ack", NINE)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await fails()
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM deadlines"))).scalar_one() == 0


async def test_the_lock_of_a_repository_lets_one_writer_in_at_a_time(database: Database) -> None:
    async with database.transaction() as connection:
        await repositories.save_repository(
            connection, 1, installation_id=1, full_name="acme/shop", default_branch="main"
        )
    order: list[str] = []
    first_is_in = asyncio.Event()

    async def first() -> None:
        async with database.transaction() as connection:
            await repositories.load_repository(connection, 1, lock=True)
            first_is_in.set()
            for _ in range(5):
                await connection.execute(text("SELECT 1"))
            order.append("first")

    async def second() -> None:
        await first_is_in.wait()
        async with database.transaction() as connection:
            await repositories.load_repository(connection, 1, lock=True)
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]


def test_the_embedded_server_keeps_its_data_from_one_start_to_the_next(tmp_path: Path) -> None:
    async def write(url: str) -> None:
        database = Database(url)
        await database.migrate()
        async with database.transaction() as connection:
            await store.set_deadline(connection, 1, task_target(1), "ack", NINE)
        await database.close()

    async def read(url: str) -> int:
        database = Database(url)
        await database.migrate()
        async with database.transaction() as connection:
            count = (await connection.execute(text("SELECT count(*) FROM deadlines"))).scalar_one()
        await database.close()
        return int(count)

    server = EmbeddedPostgres(tmp_path)
    asyncio.run(write(server.start()))
    server.stop()
    again = EmbeddedPostgres(tmp_path)
    assert asyncio.run(read(again.start())) == 1
    assert [path.stat().st_mode & 0o777 for path in (tmp_path, tmp_path / "postgres")] == [0o700, 0o700]
    again.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's home has to be kept closed")
def test_root_gets_no_data_directory_in_its_home() -> None:
    with pytest.raises(DataDirectoryError, match="DATA_DIR .* below root's home"):
        EmbeddedPostgres(Path.home() / "orchestrator")


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataDirectoryError, match="cannot be created"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()
