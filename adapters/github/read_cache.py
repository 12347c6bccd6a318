"""Makes reads cheaper: equal concurrent reads share a request, and unchanged data is not sent again.

Only bytes are stored, and decoded again for each reader: no reader gets an object that another one may change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache
from yarl import URL

MAX_CACHE_BYTES: Final = 8 * 1024 * 1024
"""For all answers together; a page of 100 issues is about 300 kB."""
_MAX_ENTRY_BYTES: Final = 1024 * 1024
_ENTRY_OVERHEAD_BYTES: Final = 512  # bytes of an entry besides its body, about

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """An answer as it came: its ETag, its body, the address of the next page."""

    etag: str
    body: bytes
    next_url: URL | None


class ResponseCache:
    """The latest answers by address and credential, least recently used ones dropped first.

    An ETag belongs to a token: after it was renewed GitHub answers in full, and that answer takes the place of the
    old one.
    """

    def __init__(self) -> None:
        self._entries: LRUCache[Hashable, CacheEntry] = LRUCache(
            MAX_CACHE_BYTES, getsizeof=lambda entry: len(entry.body) + _ENTRY_OVERHEAD_BYTES
        )

    def get(self, key: Hashable) -> CacheEntry | None:
        """What was answered last."""
        return self._entries.get(key)

    def put(self, key: Hashable, entry: CacheEntry) -> None:
        """Keep an answer, unless it is so large that it would push out all others."""
        if len(entry.body) <= _MAX_ENTRY_BYTES:
            self._entries[key] = entry


class RequestCoalescer(Generic[T]):
    """Lets equal concurrent reads share one request.

    A read that starts while another is running does not get that response, which may be older than the event that
    caused the read. All such reads share the next request, which starts when the first one has returned.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def share(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The response to a read that begins after this call, and whether another caller made the request."""
        task = self._next.get(key)
        is_shared = task is not None
        if task is None:
            task = asyncio.create_task(self._run(key, self._running.get(key), read))
            self._next[key] = task
            task.add_done_callback(lambda finished_task: self._on_done(key, finished_task))
        # Shielded: one reader that is cancelled must not take the answer from the others.
        return await asyncio.shield(task), is_shared

    async def _run(self, key: Hashable, previous: asyncio.Task[T] | None, read: Callable[[], Awaitable[T]]) -> T:
        await (asyncio.wait({previous}) if previous else asyncio.sleep(0))  # callers in this moment join
        self._running[key] = self._next.pop(key)
        return await read()

    def _on_done(self, key: Hashable, task: asyncio.Task[T]) -> None:
        for tasks in (self._running, self._next):
            if tasks.get(key) is task:
                del tasks[key]
        if not task.cancelled():
            task.exception()  # marks it as seen when every reader has been cancelled meanwhile

    async def close(self) -> None:
        """Cancel reads without waiting callers."""
        tasks = [*self._running.values(), *self._next.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
