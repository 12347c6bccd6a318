"""Reads that cost less: equal ones at once become one, and what has not changed is not sent again.

Only bytes are kept, and decoded anew for each reader: nobody gets an object that another one may change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache
from yarl import URL

KEPT_BYTES: Final = 8 * 1024 * 1024
"""For all answers together; a page of 100 issues is about 300 kB."""
_LARGEST: Final = 1024 * 1024
_OVERHEAD: Final = 512  # bytes of an entry besides its body, about

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it came: its ETag, its body, the address of the next page."""

    etag: str
    body: bytes
    next_url: URL | None


class Answers:
    """The latest answers by address and credential, least recently used ones dropped first.

    An ETag belongs to a token: after it was renewed GitHub answers in full, and that answer takes the place of the
    old one.
    """

    def __init__(self) -> None:
        self._kept: LRUCache[Hashable, Kept] = LRUCache(KEPT_BYTES, getsizeof=lambda kept: len(kept.body) + _OVERHEAD)

    def get(self, key: Hashable) -> Kept | None:
        """What was answered last."""
        return self._kept.get(key)

    def keep(self, key: Hashable, kept: Kept) -> None:
        """Keep an answer, unless it is so large that it would push out all others."""
        if len(kept.body) <= _LARGEST:
            self._kept[key] = kept


class Flights(Generic[T]):
    """Equal reads at once share one request.

    Whoever asks while one is on its way does not get its answer, which may be older than the news that made them ask:
    all those share the next one, which leaves when the first has come back.
    """

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def share(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The answer of a read that begins after this call, and whether it was made for somebody else."""
        task = self._next.get(key)
        shared = task is not None
        if task is None:
            task = asyncio.create_task(self._fly(key, self._flying.get(key), read))
            self._next[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        # Shielded: one reader that is cancelled must not take the answer from the others.
        return await asyncio.shield(task), shared

    async def _fly(self, key: Hashable, before: asyncio.Task[T] | None, read: Callable[[], Awaitable[T]]) -> T:
        await (asyncio.wait({before}) if before else asyncio.sleep(0))  # whoever asks in this moment comes along
        self._flying[key] = self._next.pop(key)
        return await read()

    def _landed(self, key: Hashable, task: asyncio.Task[T]) -> None:
        for tasks in (self._flying, self._next):
            if tasks.get(key) is task:
                del tasks[key]
        if not task.cancelled():
            task.exception()  # marks it as seen when every reader has been cancelled meanwhile

    async def close(self) -> None:
        """End reads that nobody waits for any more."""
        open_ones = [*self._flying.values(), *self._next.values()]
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
