"""Starts the PostgreSQL server of the tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_postgres() -> Iterator[str]:
    """An embedded server in a directory of its own; gives its URL. It does not wait for the disk."""
    # Imported here: a plugin that pytest loads before coverage begins needs this module.
    import psycopg

    from adapters.database.embedded import EmbeddedPostgres

    root = Path(tempfile.mkdtemp(prefix="orchestrator-tests-"))
    server = EmbeddedPostgres(root)
    try:
        url = server.start()
        with psycopg.connect(url, autocommit=True) as connection:
            # This server never has to survive a power failure.
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {name} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)
