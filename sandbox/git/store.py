"""Read and write the objects of a bare repository without a git process.

A git process costs more than reading a hundred loose objects. Objects that git has packed are copied out of their
packs once, by one process; the packs remain.
"""

import hashlib
import os
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.git.command import FULL_SHA, git_environment

TREE_MODE = "40000"
GITLINK_MODE = "160000"
_HEADER_BYTES = 64  # bytes that contain the kind and the size of every object
_MAX_CACHED_BYTES = 64 * 1024  # bytes up to which a tree or commit is cached

Entry = tuple[str, str]
"""A mode, as git writes it in a tree, and the object's id."""

Folder = dict[bytes, "Entry | Folder"]


@dataclass(slots=True)
class ObjectStore:
    """The objects of the repository at `path`."""

    path: Path
    _cached: dict[str, tuple[str, bytes]] = field(default_factory=dict, repr=False)
    _unpacked: set[str] = field(default_factory=set, repr=False)

    def write(self, kind: str, content: bytes) -> str:
        """Store an object and return its id."""
        data = b"%s %d\0%s" % (kind.encode(), len(content), content)
        sha = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        if sha in self._cached:
            return sha
        object_path = self._object_path(sha)
        if not object_path.exists():
            object_path.parent.mkdir(exist_ok=True)
            # Written to a temporary file and renamed, so that no git process reads half an object.
            handle, name = tempfile.mkstemp(prefix="tmp_obj_", dir=object_path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(zlib.compress(data, 1))
            os.chmod(name, 0o444)
            os.rename(name, object_path)
        self._cache(sha, kind, content)
        return sha

    def read(self, sha: str) -> tuple[str, bytes] | None:
        """The kind and the content of an object by its full id; None when there is none."""
        if (cached := self._cached.get(sha)) is not None:
            return cached
        if (compressed := self._read_compressed(sha)) is None:
            return None
        header, _, content = zlib.decompress(compressed).partition(b"\0")
        kind = header.split(b" ")[0].decode()
        self._cache(sha, kind, content)
        return kind, content

    def kind_and_size(self, sha: str) -> tuple[str, int] | None:
        """The kind and the size in bytes of an object; None when there is none."""
        if (compressed := self._read_compressed(sha)) is None:
            return None
        header = zlib.decompressobj().decompress(compressed, _HEADER_BYTES).partition(b"\0")[0]
        kind, size = header.split(b" ")
        return kind.decode(), int(size)

    def content(self, sha: str, kind: str) -> bytes | None:
        """The content of an object of that kind; None when there is none or it is of another kind."""
        result = self.read(sha)
        return result[1] if result is not None and result[0] == kind else None

    def tree(self, sha: str) -> dict[bytes, Entry] | None:
        """The entries of a tree by name, in git's order; None when it is not a tree."""
        content = self.content(sha, "tree")
        return None if content is None else dict(_parse_tree(content))

    def find(self, tree: str, path: str) -> Entry | None:
        """The entry at a path below a tree, or None. The empty path is the tree itself."""
        entry: Entry = (TREE_MODE, tree)
        for name in path.encode().split(b"/") if path else ():
            entries = self.tree(entry[1]) if entry[0] == TREE_MODE else None
            if entries is None or name not in entries:
                return None
            entry = entries[name]
        return entry

    def walk(self, tree: str, *, recursive: bool, prefix: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        """The entries of a tree with their paths; a folder comes before what is in it."""
        for name, entry in (self.tree(tree) or {}).items():
            yield prefix + name, entry
            if recursive and entry[0] == TREE_MODE:
                yield from self.walk(entry[1], recursive=True, prefix=prefix + name + b"/")

    def _object_path(self, sha: str) -> Path:
        return self.path / "objects" / sha[:2] / sha[2:]

    def _read_compressed(self, sha: str) -> bytes | None:
        if not FULL_SHA.fullmatch(sha):
            return None
        object_path = self._object_path(sha)
        try:
            return object_path.read_bytes()
        except FileNotFoundError:
            return object_path.read_bytes() if self._unpack() and object_path.exists() else None

    def _cache(self, sha: str, kind: str, content: bytes) -> None:
        if kind in ("commit", "tree") and len(content) <= _MAX_CACHED_BYTES:
            self._cached[sha] = (kind, content)

    def _unpack(self) -> bool:
        """Copy the objects of new packs to loose objects and return whether there were any."""
        packs = {pack.name for pack in (self.path / "objects" / "pack").glob("*.pack")}
        if packs <= self._unpacked:
            return False
        command = ["git", "cat-file", "--batch-all-objects", "--unordered", "--batch"]
        output = subprocess.run(command, cwd=self.path, env=git_environment(), capture_output=True, check=True).stdout
        position = 0
        while position < len(output):
            end = output.index(b"\n", position)
            _, kind, size = output[position:end].decode().split(" ")
            self.write(kind, output[end + 1 : end + 1 + int(size)])
            position = end + int(size) + 2
        self._unpacked = packs
        return True


class TreeEditor:
    """Changes paths of a tree and writes the resulting trees."""

    def __init__(self, store: ObjectStore, tree: str | None) -> None:
        """Start with an existing tree, or with an empty one. Raises KeyError when there is no such tree."""
        self._store = store
        self._root: Folder = {} if tree is None else self._load(tree)

    def put(self, path: str, mode: str, sha: str) -> None:
        """Add or replace a file; files and folders that collide with it are removed."""
        *folders, name = path.encode().split(b"/")
        folder = self._root
        for part in folders:
            subfolder = self._subfolder(folder, part)
            if subfolder is None:
                subfolder = folder[part] = {}
            folder = subfolder
        folder[name] = (mode, sha)

    def remove(self, path: str) -> None:
        """Remove a file or a folder, if it exists."""
        *folders, name = path.encode().split(b"/")
        folder = self._root
        for part in folders:
            subfolder = self._subfolder(folder, part)
            if subfolder is None:
                return
            folder = subfolder
        folder.pop(name, None)

    def write(self) -> str:
        """Store the trees and return the id of the root. Empty folders are left out."""
        return self._write(self._root) or self._store.write("tree", b"")

    def _load(self, tree: str) -> Folder:
        entries = self._store.tree(tree)
        if entries is None:
            raise KeyError(f"no tree {tree}")
        return dict(entries)

    def _subfolder(self, folder: Folder, name: bytes) -> Folder | None:
        entry = folder.get(name)
        if isinstance(entry, tuple) and entry[0] == TREE_MODE:
            entry = folder[name] = self._load(entry[1])
        return entry if isinstance(entry, dict) else None

    def _write(self, folder: Folder) -> str | None:
        entries: dict[bytes, Entry] = {}
        for name, entry in folder.items():
            if isinstance(entry, tuple):
                entries[name] = entry
            elif (tree := self._write(entry)) is not None:
                entries[name] = (TREE_MODE, tree)
        return self._store.write("tree", _tree_bytes(entries.items())) if entries else None


def _parse_tree(content: bytes) -> Iterator[tuple[bytes, Entry]]:
    position = 0
    while position < len(content):
        end = content.index(b"\0", position)
        mode, name = content[position:end].split(b" ", 1)
        yield name, (mode.decode(), content[end + 1 : end + 21].hex())
        position = end + 21


def _tree_bytes(entries: Iterable[tuple[bytes, Entry]]) -> bytes:
    # Git compares a folder as if its name ended with a slash.
    ordered = sorted(entries, key=lambda item: item[0] + b"/" if item[1][0] == TREE_MODE else item[0])
    return b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(sha)) for name, (mode, sha) in ordered)
