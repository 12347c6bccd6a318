"""Keeps a mirror small: packs objects, prunes unreachable ones and removes files of killed processes.

All of it happens under the mirror's lock. Packs are only changed while no process reads the mirror.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adapters.git.locks import try_lock
from adapters.git.object_reader import PRUNED
from adapters.git.private_files import write_text
from adapters.git.process import Git

_MAX_PACKS: Final = 30
_MAX_LOOSE_OBJECTS: Final = 2_000
"""So many packs, or loose objects, before they are gathered: every read looks through all of them."""

_MAX_GROWTH_BYTES: Final = 64 * 1024 * 1024
"""Bytes beyond twice its size that a mirror may grow before what no ref leads to is deleted."""

_STALE_SECONDS: Final = 600.0
"""Seconds after which a temporary directory without a lock was left by a process that died."""

SCRATCH_PREFIX: Final = "merge-"

IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is made there is ours alone, by mkdtemp
"""Where files live in memory, on Linux. What is deleted a moment later need not reach a disk."""

IN_MEMORY_PREFIX: Final = "orchestrator-merge-"
_MAX_IN_MEMORY_BYTES: Final = 256 * 1024 * 1024
_MIN_FREE_BYTES: Final = 512 * 1024 * 1024
"""Bytes of packs up to which a mirror's merges are tried in memory, and bytes that have to be free there."""


def fits_in_memory(mirror: Path) -> bool:
    """Whether merges may write their objects to memory: a few dozen megabytes, in a repository that is not large."""
    try:
        stats = os.statvfs(IN_MEMORY)
        packs = sum(pack.stat().st_size for pack in (mirror / "objects" / "pack").glob("*.pack"))
    except OSError:
        return False
    return (
        stats.f_bavail * stats.f_frsize >= _MIN_FREE_BYTES
        and packs <= _MAX_IN_MEMORY_BYTES
        and os.access(IN_MEMORY, os.W_OK)
    )


def remove_stale_files(directory: Path, mirror: Path) -> None:
    """Remove what killed processes left: temporary directories, and packs that were not received to their end."""
    for path in (mirror.with_suffix(".new"), mirror.with_suffix(".old")):
        shutil.rmtree(path, ignore_errors=True)
    for path in (mirror / "objects" / "pack").glob("tmp_*"):
        path.unlink(missing_ok=True)
    for path in (*directory.glob(f"{SCRATCH_PREFIX}*"), *IN_MEMORY.glob(f"{IN_MEMORY_PREFIX}*")):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS and not _is_locked(path):
                shutil.rmtree(path, ignore_errors=True)


async def repack_if_needed(git: Git, mirror: Path, *, timeout_seconds: float) -> None:
    """Repack if there are many packs, and prune unreachable objects if the mirror has grown a lot.

    No process may read or fetch meanwhile. Raises GitError.
    """
    size_file = mirror / "size-when-tidy"
    size = directory_size(mirror / "objects")
    try:
        last_size = int(size_file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):  # created just now, or its writer was killed
        write_text(size_file, str(size))
        return
    if size > 2 * last_size + _MAX_GROWTH_BYTES:
        try:
            await git.run("gc", "--quiet", "--prune=now", git_dir=mirror, min_timeout_seconds=timeout_seconds)
        finally:
            (mirror / PRUNED).touch(mode=0o600)
        write_text(size_file, str(directory_size(mirror / "objects")))
    elif needs_gc(mirror):
        await git.run("repack", "--quiet", "--geometric=2", "-d", git_dir=mirror, min_timeout_seconds=timeout_seconds)
        await git.run("prune-packed", "--quiet", git_dir=mirror, min_timeout_seconds=timeout_seconds)


def needs_gc(mirror: Path) -> bool:
    """Whether there are many packs or loose objects; the latter are guessed from one of their 256 folders."""
    packs = sum(1 for _ in (mirror / "objects" / "pack").glob("*.pack"))
    loose = sum(1 for _ in (mirror / "objects" / "17").glob("*"))
    return packs > _MAX_PACKS or 256 * loose > _MAX_LOOSE_OBJECTS


def directory_size(directory: Path) -> int:
    """Bytes of all files below a directory; 0 if it is missing."""
    return sum(_file_sizes(directory))


def _file_sizes(directory: Path) -> Iterator[int]:
    for root, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                yield os.stat(os.path.join(root, name)).st_size


def _is_locked(directory: Path) -> bool:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)
