"""Looks up objects with a long-lived `git cat-file --batch-command` process."""

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
"""A file of a mirror that is touched whenever objects are removed."""

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
    """Reads objects of one repository; `environment` may add object directories. The owner must close it."""

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
        requested = list(names)

        async def read(answer: asyncio.StreamReader) -> list[ObjectInfo | None]:
            return [await _info(answer, name) for name in requested]

        return await self.process.ask(_question(b"info", requested), read) if requested else []

    async def contents(self, names: Iterable[bytes]) -> list[bytes | None]:
        """The content of each object, None for none. All of it is in memory: ask for sizes first.

        Raises GitError, GitTimeoutError.
        """
        requested = list(names)

        async def read(answer: asyncio.StreamReader) -> list[bytes | None]:
            return [await _content(answer, name) for name in requested]

        return await self.process.ask(_question(b"contents", requested), read) if requested else []

    async def close(self) -> None:
        """End the process."""
        await self.process.close()


class ObjectReaders:
    """Keeps readers of mirrors alive between requests: at most `keep`, each for `idle_seconds` after its last request.

    With `keep` 0 each process ends with its request, and nothing needs to be closed.
    """

    def __init__(self, git: Starter, *, keep: int, idle_seconds: float) -> None:
        self._git = git
        self._keep = keep
        self._idle_seconds = idle_seconds
        self._open: OrderedDict[Path, _Entry] = OrderedDict()
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
        """End all processes, those of running requests as soon as these are done."""
        self._keep = 0
        await self._trim()
        if self._closing:
            await asyncio.wait(self._closing)

    def pids(self) -> list[int]:
        """The ids of the processes that are running, the least recently used first."""
        return [pid for entry in self._open.values() if (pid := entry.reader.pid) is not None]

    @asynccontextmanager
    async def _reader(self, git_dir: Path) -> AsyncIterator[ObjectReader]:
        state = _state(git_dir)
        while (entry := self._open.get(git_dir)) is not None and entry.state != state:
            # Created again or pruned: an older process may still see objects that are gone.
            await self._release(git_dir, entry)
        if entry is None:
            entry = self._open[git_dir] = _Entry(ObjectReader(self._git, git_dir), state)
        self._open.move_to_end(git_dir)
        entry.users += 1
        entry.stop_timer()
        try:
            yield entry.reader
        finally:
            entry.users -= 1
            if self._open.get(git_dir) is not entry:
                await self._release(git_dir, entry)
            elif self._keep and not entry.users:
                entry.expires = asyncio.get_running_loop().call_later(self._idle_seconds, self._expire, git_dir, entry)
            await self._trim()

    async def _trim(self) -> None:
        while len(self._open) > self._keep:
            await self._release(*next(iter(self._open.items())))

    async def _release(self, git_dir: Path, entry: _Entry) -> None:
        """Remove it from the pool. Its process ends now, or with its last request."""
        if self._open.get(git_dir) is entry:
            del self._open[git_dir]
        entry.stop_timer()
        if not entry.users:
            await entry.reader.close()

    def _expire(self, git_dir: Path, entry: _Entry) -> None:
        ending = asyncio.get_running_loop().create_task(self._release(git_dir, entry))
        self._closing.add(ending)
        ending.add_done_callback(self._closing.discard)


@dataclass(slots=True, eq=False)
class _Entry:
    reader: ObjectReader
    state: _State | None
    users: int = 0
    expires: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.expires is not None:
            self.expires.cancel()
            self.expires = None


def _question(command: bytes, names: Sequence[bytes]) -> bytes:
    return b"".join(b"%s %s\0" % (command, name) for name in names) + b"flush\0"


async def _info(answer: asyncio.StreamReader, name: bytes) -> ObjectInfo | None:
    line = await answer.readuntil(b"\n")
    match = _FOUND.fullmatch(line)
    if match is not None:
        return ObjectInfo(match[1].decode(), match[2].decode(), int(match[3]))
    for _ in range(name.count(b"\n")):  # git repeats the name unchanged
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
    """What changes when the mirror is created again, or when objects are removed from it."""
    try:
        created = (git_dir / "config").stat()
    except OSError:
        return None
    try:
        pruned = (git_dir / PRUNED).stat().st_mtime_ns
    except OSError:
        pruned = 0
    return created.st_ino, created.st_mtime_ns, pruned
