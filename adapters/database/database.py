"""The database: one engine for our tables, one connection URL for embedded and external PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from adapters.database.job_tables import create_job_tables

log = structlog.get_logger()

MIN_POSTGRES_VERSION = 140000  # as the server counts: 14
IDLE_SECONDS = 1.0  # after which a connection is asked whether it lives before it is used again
CONNECT_TIMEOUT_SECONDS = 30.0  # seconds that we wait for the server at the start
CONNECT_RETRY_SECONDS = 0.5
# Our transactions never wait for the world. One that says nothing for so long, in seconds, belongs to a process that
# sleeps or lost the network; the server ends it, so that the others get at the repository that it had locked.
IDLE_TRANSACTION_SECONDS = 8.0
MIGRATION_LOCK = 0x6D63706F  # any constant of our own: two replicas do not migrate at once
_MIGRATIONS = Path(__file__).with_name("migrations")


class DatabaseError(RuntimeError):
    """The database cannot be used; the text says why."""


def engine_url(url: str) -> str:
    """The URL as SQLAlchemy wants it, with the driver's name in it."""
    scheme, _, remainder = url.partition("://")
    if scheme not in ("postgres", "postgresql"):
        raise DatabaseError(f"not a PostgreSQL URL: it begins with {scheme}://")
    return f"postgresql+psycopg://{remainder}"


class Database:
    """Connections to our PostgreSQL."""

    def __init__(
        self, url: str, pool_size: int = 10, idle_transaction_seconds: float = IDLE_TRANSACTION_SECONDS
    ) -> None:
        """`url` is a `postgresql://` URL; nothing is connected yet.

        A transaction that is left alone for `silent_seconds` is rolled back by the server, and its connection ended.
        """
        self.url = url
        engine = create_async_engine(engine_url(url), pool_size=pool_size, max_overflow=pool_size)
        _ping_idle_connections(engine)
        _set_idle_transaction_timeout(engine, idle_transaction_seconds)
        self.set_engine(engine)

    def set_engine(self, engine: AsyncEngine) -> None:
        """Take connections from this engine from now on."""
        self.engine = engine
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")  # the same connections

    @asynccontextmanager
    async def transaction(self, *, discard: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction: committed at the end, rolled back by any exception.

        With `once` it is closed afterwards: the library keeps room for the largest value that ever went through.
        """
        async with self.engine.connect() as connection:
            async with connection.begin():
                yield connection
            if discard:
                await connection.invalidate()

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction of its own: for reads, and for a single write.

        It spares the two round trips that begin and commit one.
        """
        async with self._autocommit.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    async def migrate(self) -> None:
        """Bring the tables, and those of the job queue, up to date. Safe to call from several replicas at once.

        Raises `DatabaseError` for a server that is too old, or tables that are newer than this program.
        """
        async with self.engine.begin() as connection:
            version = int((await connection.execute(text("SHOW server_version_num"))).scalar_one())
            if version < MIN_POSTGRES_VERSION:
                raise DatabaseError(f"PostgreSQL 14 or newer is needed; this server is {version // 10000}")
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            await connection.run_sync(_upgrade)
            await create_job_tables(connection)

    async def connect_and_migrate(self, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS) -> None:
        """Wait until the server answers, which may start at the same time as we do or just recover, and `migrate`.

        Raises `DatabaseError` when it does not answer within so many seconds, or cannot be used.
        """
        deadline = monotonic() + timeout_seconds
        while True:
            try:
                return await self.migrate()
            except OperationalError as error:
                reason = str(error.orig).strip().partition("\n")[0]
                if monotonic() >= deadline:
                    raise DatabaseError(f"{describe_url(self.url)} cannot be reached: {reason}") from error
                log.warning("database_unreachable", error=reason)
            await asyncio.sleep(CONNECT_RETRY_SECONDS)

    async def now(self) -> datetime:
        """What time it is for the server."""
        async with self.autocommit() as connection:
            server_time: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return server_time

    async def ping(self) -> None:
        """Raise if the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


def _ping_idle_connections(engine: AsyncEngine) -> None:
    """Ask a connection that lay idle whether it still lives, and replace it if not.

    SQLAlchemy's own `pool_pre_ping` asks each time, which under load is a fifth of all round trips. A server that
    went away a moment ago is met by an error; what was being done comes back by its job.
    """
    pool, dialect = engine.sync_engine.pool, engine.sync_engine.dialect

    def on_checkin(_: object, record: ConnectionPoolEntry) -> None:
        record.info["at_rest_since"] = monotonic()

    def on_checkout(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        if monotonic() - record.info.get("at_rest_since", monotonic()) < IDLE_SECONDS:
            return
        try:
            is_alive = dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error:
            is_alive = False
        if not is_alive:
            raise DisconnectionError("the connection died while it was idle")  # the pool takes another one

    event.listen(pool, "checkin", on_checkin)
    event.listen(pool, "checkout", on_checkout)


def _set_idle_transaction_timeout(engine: AsyncEngine, seconds: float) -> None:
    """Tell the server on each new connection; not in the URL: poolers in between refuse what they do not know."""

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {round(seconds * 1000)}")
        cursor.close()
        connection.commit()

    event.listen(engine.sync_engine, "connect", on_connect)


def migration_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


@cache
def revisions() -> tuple[str, ...]:
    """The revisions of the tables that this program knows, the newest first."""
    scripts = ScriptDirectory.from_config(migration_config())
    return tuple(script.revision for script in scripts.walk_revisions())


def _upgrade(connection: Connection) -> None:
    from alembic.runtime.migration import MigrationContext

    current = MigrationContext.configure(connection).get_current_revision()
    newest, *older = revisions()
    if current == newest:
        return
    if current is not None and current not in older:
        raise DatabaseError(
            f"the tables are at revision {current}, which this older version does not know: install the newer "
            "version again"
        )
    config = migration_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def describe_url(url: str) -> str:
    """The URL without its password, for logs."""
    parts = urlsplit(url)
    host = parts.hostname or "a local socket"
    return f"{parts.path.lstrip('/') or 'postgres'} on {host}"
