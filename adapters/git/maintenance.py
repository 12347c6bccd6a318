"""Keeps a mirror small: packs are gathered, what no ref leads to is thrown away, and so is what killed processes left.

All of it happens under the mirror's lock. Packs are only touched while nobody reads the mirror.
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
from adapters.git.process import Git

_PACKS: Final = 30
_LOOSE: Final = 2_000
"""So many packs, or loose objects, before they are gathered: every read looks through all of them."""

_GROWTH: Final = 64 * 1024 * 1024
"""Bytes beyond twice its size that a mirror may grow before what no ref leads to is thrown away."""

_LEFT_OVER: Final = 600.0
"""Seconds after which a throw-away directory that nobody holds was left by somebody who died."""

SCRATCH_PREFIX: Final = "merge-"

IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - what is made there is ours alone, by mkdtemp
"""Where files live in memory, on Linux. What is thrown away a moment later need not reach a disk."""

IN_MEMORY_PREFIX: Final = "orchestrator-merge-"
_SMALL: Final = 256 * 1024 * 1024
_ROOM: Final = 512 * 1024 * 1024
"""Bytes of packs up to which a mirror's merges are tried in memory, and bytes that have to be free there."""


def fits_in_memory(mirror: Path) -> bool:
    """Whether merges may write their objects to memory: a few dozen megabytes, in a repository that is not large."""
    try:
        room = os.statvfs(IN_MEMORY)
        packs = sum(pack.stat().st_size for pack in (mirror / "objects" / "pack").glob("*.pack"))
    except OSError:
        return False
    return room.f_bavail * room.f_frsize >= _ROOM and packs <= _SMALL and os.access(IN_MEMORY, os.W_OK)


def sweep(folder: Path, mirror: Path) -> None:
    """Remove what killed processes left: throw-away directories, and packs that were not received to their end."""
    for left in (mirror.with_suffix(".new"), mirror.with_suffix(".old")):
        shutil.rmtree(left, ignore_errors=True)
    for left in (mirror / "objects" / "pack").glob("tmp_*"):
        left.unlink(missing_ok=True)
    for left in (*folder.glob(f"{SCRATCH_PREFIX}*"), *IN_MEMORY.glob(f"{IN_MEMORY_PREFIX}*")):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if time.time() - left.stat().st_mtime > _LEFT_OVER and not _held(left):
                shutil.rmtree(left, ignore_errors=True)


async def gather(git: Git, mirror: Path, *, seconds: float) -> None:
    """Gather packs if there are many, and throw away what no ref leads to if the mirror has grown a lot.

    Nobody may read or fetch meanwhile. Raises GitError.
    """
    note = mirror / "size-when-tidy"
    size = sum(_sizes(mirror / "objects"))
    try:
        tidy = int(note.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):  # made just now, or whoever wrote it was killed
        note.write_text(str(size), encoding="ascii")
        return
    if size > 2 * tidy + _GROWTH:
        try:
            await git.run("gc", "--quiet", "--prune=now", git_dir=mirror, seconds=seconds)
        finally:
            (mirror / PRUNED).touch()
        note.write_text(str(sum(_sizes(mirror / "objects"))), encoding="ascii")
    elif wants_gathering(mirror):
        await git.run("repack", "--quiet", "--geometric=2", "-d", git_dir=mirror, seconds=seconds)
        await git.run("prune-packed", "--quiet", git_dir=mirror, seconds=seconds)


def wants_gathering(mirror: Path) -> bool:
    """Whether there are many packs or loose objects; the latter are guessed from one of their 256 folders."""
    packs = sum(1 for _ in (mirror / "objects" / "pack").glob("*.pack"))
    loose = sum(1 for _ in (mirror / "objects" / "17").glob("*"))
    return packs > _PACKS or 256 * loose > _LOOSE


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                yield os.stat(os.path.join(place, name)).st_size


def _held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)
