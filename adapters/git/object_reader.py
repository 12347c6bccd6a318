"""Looks up objects of a repository by `git cat-file --batch-command`, in one process for many requests."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.git.batch_process import BatchProcess, Starter

PRUNED: Final = "pruned"
"""A file of a mirror that is touched whenever objects were thrown away."""

_FOUND: Final = re.compile(rb"([0-9a-f]{40,64}) ([a-z]+) (\d+)\n")
_NOT_FOUND: Final = (b" missing\n", b" ambiguous\n", b" submodule\n")

_State = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object: its id, its kind, its size in bytes."""

    name: str
    kind: str
    size: int


class ObjectReader:
    """Reads objects of one repository; `environment` may add directories of objects. To be closed."""

    def __init__(self, git: Starter, git_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        arguments = ("cat-file", "--batch-command", "-z", "--buffer")
        self.process = BatchProcess(git, *arguments, git_dir=git_dir, environment=environment)

    @property
    def pid(self) -> int | None:
        """The id of its process; None when none is running."""
        return self.process.pid

    async def info(self, names: Iterable[bytes]) -> list[ObjectInfo | None]:
        """What object each name (`<id>`, `<ref>^{commit}`, `<tree>:<path>`) stands for, None for none.

        Raises GitError, GitTimeoutError.
        """
        asked = list(names)

        async def read(answer: asyncio.StreamReader) -> list[ObjectInfo | None]:
            return [await _info(answer, name) for name in asked]

        return await self.process.ask(_question(b"info", asked), read) if asked else []

    async def contents(self, names: Iterable[bytes]) -> list[bytes | None]:
        """The content of each object, None for none. All of it is in memory: ask for sizes first.

        Raises GitError, GitTimeoutError.
        """
        asked = list(names)

        async def read(answer: asyncio.StreamReader) -> list[bytes | None]:
            return [await _content(answer, name) for name in asked]

        return await self.process.ask(_question(b"contents", asked), read) if asked else []

    async def close(self) -> None:
        """End the process."""
        await self.process.close()


class ObjectReaders:
    """Keeps readers of mirrors alive between requests: at most `keep`, each for `idle_seconds` after its last request.

    With `keep` 0 each process ends with its request, and there is nothing to close.
    """

    def __init__(self, git: Starter, *, keep: int, idle_seconds: float) -> None:
        self._git = git
        self._keep = keep
        self._idle_seconds = idle_seconds
        self._open: OrderedDict[Path, _Kept] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    async def info(self, git_dir: Path, names: Iterable[bytes]) -> list[ObjectInfo | None]:
        """As `ObjectReader.info`, in the repository at `git_dir`."""
        async with self._reader(git_dir) as reader:
            return await reader.info(names)

    async def contents(self, git_dir: Path, names: Iterable[bytes]) -> list[bytes | None]:
        """As `ObjectReader.contents`, in the repository at `git_dir`."""
        async with self._reader(git_dir) as reader:
            return await reader.contents(names)

    async def close(self) -> None:
        """End all processes. Requests that are under way end theirs themselves."""
        self._keep = 0
        await self._trim()
        if self._closing:
            await asyncio.wait(self._closing)

    def pids(self) -> list[int]:
        """The ids of the processes that are running, the least recently used first."""
        return [pid for kept in self._open.values() if (pid := kept.reader.pid) is not None]

    @asynccontextmanager
    async def _reader(self, git_dir: Path) -> AsyncIterator[ObjectReader]:
        state = _state(git_dir)
        kept = self._open.get(git_dir)
        if kept is None or kept.state != state:
            # Made again or pruned: a process from before may still see what is no longer there.
            if kept is not None:
                await self._release(git_dir, kept)
            kept = self._open[git_dir] = _Kept(ObjectReader(self._git, git_dir), state)
        self._open.move_to_end(git_dir)
        kept.users += 1
        kept.rest()
        try:
            yield kept.reader
        finally:
            kept.users -= 1
            if self._open.get(git_dir) is not kept:
                await self._release(git_dir, kept)
            elif self._keep and not kept.users:
                kept.expires = asyncio.get_running_loop().call_later(self._idle_seconds, self._expire, git_dir, kept)
            await self._trim()

    async def _trim(self) -> None:
        while len(self._open) > self._keep:
            await self._release(*next(iter(self._open.items())))

    async def _release(self, git_dir: Path, kept: _Kept) -> None:
        """Keep it no longer; it ends at once, or when its last request does."""
        if self._open.get(git_dir) is kept:
            del self._open[git_dir]
        kept.rest()
        if not kept.users:
            await kept.reader.close()

    def _expire(self, git_dir: Path, kept: _Kept) -> None:
        ending = asyncio.get_running_loop().create_task(self._release(git_dir, kept))
        self._closing.add(ending)
        ending.add_done_callback(self._closing.discard)


@dataclass(slots=True, eq=False)
class _Kept:
    reader: ObjectReader
    state: _State | None
    users: int = 0
    expires: asyncio.TimerHandle | None = None

    def rest(self) -> None:
        if self.expires is not None:
            self.expires.cancel()
            self.expires = None


def _question(command: bytes, names: Sequence[bytes]) -> bytes:
    return b"".join(b"%s %s\0" % (command, name) for name in names) + b"flush\0"


async def _info(answer: asyncio.StreamReader, name: bytes) -> ObjectInfo | None:
    line = await answer.readuntil(b"\n")
    found = _FOUND.fullmatch(line)
    if found is not None:
        return ObjectInfo(found[1].decode(), found[2].decode(), int(found[3]))
    for _ in range(name.count(b"\n")):  # git repeats the name as it is
        line += await answer.readuntil(b"\n")
    if not line.endswith(_NOT_FOUND):
        raise ValueError(f"the answer of cat-file is not understood: {line[:200]!r}")
    return None


async def _content(answer: asyncio.StreamReader, name: bytes) -> bytes | None:
    info = await _info(answer, name)
    if info is None:
        return None
    content = await answer.readexactly(info.size + 1)
    return content[:-1]


def _state(git_dir: Path) -> _State | None:
    """What tells a mirror from the one before it, or from itself before objects were thrown away."""
    try:
        made = (git_dir / "config").stat()
    except OSError:
        return None
    try:
        pruned = (git_dir / PRUNED).stat().st_mtime_ns
    except OSError:
        pruned = 0
    return made.st_ino, made.st_mtime_ns, pruned
