"""A throw-away directory for new objects, and the few objects that we write there ourselves.

Starting a git process costs more than a whole merge, so commits and trees that are only needed for a trial are
written by hand, in git's own format for loose objects.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.git.mirror import Mirror

_NOBODY: Final = b"trial <trial@invalid> 0 +0000"


@dataclass(frozen=True, slots=True)
class Scratch:
    """A directory that takes new objects, and those that are read beside it."""

    folder: Path
    others: tuple[Path, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What makes git write here."""
        return {
            "GIT_OBJECT_DIRECTORY": str(self.folder),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(map(str, self.others)),
        }

    def has(self, name: str) -> bool:
        """Whether this object was written here."""
        return (self.folder / name[:2] / name[2:]).exists()

    def write(self, kind: str, content: bytes) -> str:
        """Write an object, give its id."""
        whole = b"%s %d\0%s" % (kind.encode(), len(content), content)
        name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        place = self.folder / name[:2] / name[2:]
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(zlib.compress(whole, 0))
        return name

    def commit(self, tree: str, parent: str) -> str:
        """Write the commit that has this tree and this parent; always the same one for the same two."""
        lines = (b"tree " + tree.encode(), b"parent " + parent.encode(), b"author " + _NOBODY, b"committer " + _NOBODY)
        return self.write("commit", b"\n".join(lines) + b"\n\n\n")

    def tree(self, entries: Iterable[tuple[bytes, str]]) -> str:
        """Write the tree that has these files, by name and id of the blob."""
        pieces = (b"100644 %s\0%s" % (name, bytes.fromhex(blob)) for name, blob in sorted(entries))
        return self.write("tree", b"".join(pieces))


@asynccontextmanager
async def scratch_objects(mirror: Mirror, *read_too: Scratch) -> AsyncIterator[Scratch]:
    """Give a directory in which git writes new objects, removed at the end with everything in it."""
    folder = Path(tempfile.mkdtemp(prefix="merge-", dir=mirror.path.parent))
    try:
        yield Scratch(folder, (*(scratch.folder for scratch in read_too), mirror.path / "objects"))
    finally:
        # In a thread: thousands of small files take a while, and nobody need wait for it.
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
