"""Locks files between processes; a lock ends with its process."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from adapters.git.private_files import make_directory

_POLL_SECONDS: Final = 0.05
"""Seconds between two looks at a lock that another process holds."""


@asynccontextmanager
async def file_lock(path: Path, *, shared: bool = False, timeout_seconds: float) -> AsyncIterator[None]:
    """Hold the lock on this file, which is made if it is missing; `shared` with others that share it.

    Raises TimeoutError when it cannot be had in so many seconds.
    """
    make_directory(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(timeout_seconds):
            while not try_lock(descriptor, shared=shared):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock on an open file, if it is to be had at once."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
