"""Writes temporary objects for trial merges.

Starting a git process costs more than a whole merge, so commits and trees that are only needed for a trial are written
directly, in git's own format for loose objects.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.git.locks import try_lock
from adapters.git.maintenance import IN_MEMORY, IN_MEMORY_PREFIX, SCRATCH_PREFIX, fits_in_memory
from adapters.git.mirror import Mirror
from adapters.git.object_reader import ObjectReader
from adapters.git.private_files import make_directory

_IDENTITY: Final = b"trial <trial@invalid> 0 +0000"


@dataclass(frozen=True, slots=True)
class ScratchObjects:
    """A directory that takes new objects, and those that are read beside it."""

    directory: Path
    alternates: tuple[Path, ...]
    reader: ObjectReader
    """Finds objects here and there; its process begins with the first question and ends with the directory."""

    @property
    def environment(self) -> dict[str, str]:
        """What makes git write here."""
        return _environment(self.directory, self.alternates)

    def has(self, name: str) -> bool:
        """Whether this object was written here."""
        return (self.directory / name[:2] / name[2:]).exists()

    def write(self, kind: str, content: bytes) -> str:
        """Write an object, give its id."""
        data = _loose_object(kind, content)
        name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        path = self.directory / name[:2] / name[2:]
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(zlib.compress(data, 0))
        return name

    def write_commit(self, tree: str, parent: str | None = None) -> str:
        """Write the commit that has this tree and this parent; always the same one for the same two."""
        return self.write("commit", _commit_content(tree, parent))

    def write_tree(self, entries: Iterable[tuple[bytes, bytes, str]]) -> str:
        """Write the tree that has these files: name, mode, id of the blob."""
        encoded_entries = (b"%s %s\0%s" % (mode, name, bytes.fromhex(blob)) for name, mode, blob in sorted(entries))
        return self.write("tree", b"".join(encoded_entries))


def _environment(directory: Path, alternates: Iterable[Path]) -> dict[str, str]:
    return {
        "GIT_OBJECT_DIRECTORY": str(directory),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(map(str, alternates)),
    }


def commit_id(tree: str, parent: str) -> str:
    """The id that `Scratch.commit` gives such a commit."""
    return hashlib.sha1(_loose_object("commit", _commit_content(tree, parent)), usedforsecurity=False).hexdigest()


def _commit_content(tree: str, parent: str | None) -> bytes:
    lines = [b"tree " + tree.encode(), *([] if parent is None else [b"parent " + parent.encode()])]
    return b"\n".join([*lines, b"author " + _IDENTITY, b"committer " + _IDENTITY]) + b"\n\n\n"


def _loose_object(kind: str, content: bytes) -> bytes:
    return b"%s %d\0%s" % (kind.encode(), len(content), content)


@asynccontextmanager
async def scratch_objects(mirror: Mirror, *parents: ScratchObjects) -> AsyncIterator[ScratchObjects]:
    """Provide a directory in which git writes new objects; it is removed at the end with everything in it.

    Meanwhile no process removes objects of the mirror.
    """
    if mirror.in_memory and fits_in_memory(mirror.path):
        directory = Path(tempfile.mkdtemp(prefix=IN_MEMORY_PREFIX, dir=IN_MEMORY))
    else:
        make_directory(mirror.path.parent)
        directory = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=mirror.path.parent))
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    alternates = (*(scratch.directory for scratch in parents), mirror.path / "objects")
    reader = ObjectReader(mirror.git, mirror.path, _environment(directory, alternates))
    try:
        try_lock(descriptor)  # so that others can tell it from one whose process died
        async with mirror.read_lock():
            yield ScratchObjects(directory, alternates, reader)
    finally:
        os.close(descriptor)
        # In a thread: thousands of small files take a while, and no request should wait for it.
        await asyncio.shield(_remove(directory, reader))


async def _remove(directory: Path, reader: ObjectReader) -> None:
    await reader.close()
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
