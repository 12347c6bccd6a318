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

_INFO_LINE: Final = re.compile(rb"([0-9a-f]{40,64}) ([a-z]+) (\d+)\n")
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
        name_list = list(names)

        async def read(stream: asyncio.StreamReader) -> list[ObjectInfo | None]:
            return [await _read_info(stream, name) for name in name_list]

        return await self.process.send(_encode_request(b"info", name_list), read) if name_list else []

    async def contents(self, names: Iterable[bytes]) -> list[bytes | None]:
        """The content of each object, None for none. All of it is in memory: ask for sizes first.

        Raises GitError, GitTimeoutError.
        """
        name_list = list(names)

        async def read(stream: asyncio.StreamReader) -> list[bytes | None]:
            return [await _read_content(stream, name) for name in name_list]

        return await self.process.send(_encode_request(b"contents", name_list), read) if name_list else []

    async def close(self) -> None:
        """End the process."""
        await self.process.close()


class ObjectReaders:
    """Keeps readers of mirrors alive between requests: at most `keep`, each for `idle_seconds` after its last request.

    With `keep` 0 each process ends with its request, and nothing needs to be closed.
    """

    def __init__(self, git: Starter, *, max_readers: int, idle_seconds: float) -> None:
        self._git = git
        self._max_readers = max_readers
        self._idle_seconds = idle_seconds
        self._entries: OrderedDict[Path, _Entry] = OrderedDict()
        self._close_tasks: set[asyncio.Task[None]] = set()

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
        self._max_readers = 0
        await self._trim()
        if self._close_tasks:
            await asyncio.wait(self._close_tasks)

    def pids(self) -> list[int]:
        """The ids of the processes that are running, the least recently used first."""
        return [pid for entry in self._entries.values() if (pid := entry.reader.pid) is not None]

    @asynccontextmanager
    async def _reader(self, git_dir: Path) -> AsyncIterator[ObjectReader]:
        state = _mirror_state(git_dir)
        while (entry := self._entries.get(git_dir)) is not None and entry.state != state:
            # Created again or pruned: an older process may still see objects that are gone.
            await self._release(git_dir, entry)
        if entry is None:
            entry = self._entries[git_dir] = _Entry(ObjectReader(self._git, git_dir), state)
        self._entries.move_to_end(git_dir)
        entry.users += 1
        entry.stop_timer()
        try:
            yield entry.reader
        finally:
            entry.users -= 1
            if self._entries.get(git_dir) is not entry:
                await self._release(git_dir, entry)
            elif self._max_readers and not entry.users:
                entry.idle_timer = asyncio.get_running_loop().call_later(
                    self._idle_seconds, self._expire, git_dir, entry
                )
            await self._trim()

    async def _trim(self) -> None:
        while len(self._entries) > self._max_readers:
            await self._release(*next(iter(self._entries.items())))

    async def _release(self, git_dir: Path, entry: _Entry) -> None:
        """Remove it from the pool. Its process ends now, or with its last request."""
        if self._entries.get(git_dir) is entry:
            del self._entries[git_dir]
        entry.stop_timer()
        if not entry.users:
            await entry.reader.close()

    def _expire(self, git_dir: Path, entry: _Entry) -> None:
        task = asyncio.get_running_loop().create_task(self._release(git_dir, entry))
        self._close_tasks.add(task)
        task.add_done_callback(self._close_tasks.discard)


@dataclass(slots=True, eq=False)
class _Entry:
    reader: ObjectReader
    state: _State | None
    users: int = 0
    idle_timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.idle_timer is not None:
            self.idle_timer.cancel()
            self.idle_timer = None


def _encode_request(command: bytes, names: Sequence[bytes]) -> bytes:
    return b"".join(b"%s %s\0" % (command, name) for name in names) + b"flush\0"


async def _read_info(stream: asyncio.StreamReader, name: bytes) -> ObjectInfo | None:
    line = await stream.readuntil(b"\n")
    match = _INFO_LINE.fullmatch(line)
    if match is not None:
        return ObjectInfo(match[1].decode(), match[2].decode(), int(match[3]))
    for _ in range(name.count(b"\n")):  # git repeats the name unchanged
        line += await stream.readuntil(b"\n")
    if not line.endswith(_NOT_FOUND):
        raise ValueError(f"the answer of cat-file is not understood: {line[:200]!r}")
    return None


async def _read_content(stream: asyncio.StreamReader, name: bytes) -> bytes | None:
    info = await _read_info(stream, name)
    if info is None:
        return None
    content = await stream.readexactly(info.size + 1)
    return content[:-1]


def _mirror_state(git_dir: Path) -> _State | None:
    """What changes when the mirror is created again, or when objects are removed from it."""
    try:
        config_stat = (git_dir / "config").stat()
    except OSError:
        return None
    try:
        pruned_at = (git_dir / PRUNED).stat().st_mtime_ns
    except OSError:
        pruned_at = 0
    return config_stat.st_ino, config_stat.st_mtime_ns, pruned_at
