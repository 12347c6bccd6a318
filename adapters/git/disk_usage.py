"""Limits the disk that mirrors use: each one by itself, and all together.

A mirror is a cache, so if all together are too large, the least recently used ones are removed. One that is too large
by itself, or would be with what is being fetched, is not fetched, and the reason is kept for a while: trying again
would download the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

import structlog

from adapters.git.errors import GitError
from adapters.git.locks import file_lock
from adapters.git.maintenance import directory_size

log = structlog.get_logger()

MEGABYTE: Final = 1024 * 1024
CHECK_SECONDS: Final = 1.0
"""Seconds between two looks at the size while git fetches."""

_OTHERS_SECONDS: Final = 60.0
"""Seconds for which the sizes of other mirrors are good enough."""

_REFUSAL_SECONDS: Final = 6 * 3600.0
"""Seconds for which what was too large is not tried again."""


class DiskLimitError(GitError):
    """A mirror would use more of the disk than it may."""

    def __init__(self, reason: str) -> None:
        super().__init__("fetch", 0, reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(slots=True)
class DiskUsage:
    """The limits of mirrors in megabytes, and what is known of their use."""

    mirror_limit_mb: int = 5_000
    total_limit_mb: int = 50_000
    _sizes: dict[Path, int] = field(default_factory=dict)
    _measured_at: float = -_OTHERS_SECONDS
    _refused: dict[tuple[Path, str], tuple[float, str]] = field(default_factory=dict)

    def check_refusal(self, mirror: Path, refs: list[str]) -> None:
        """Raise DiskLimitError for what was found too large a while ago."""
        for ref in refs:
            refused_at, reason = self._refused.get((mirror, ref), (-_REFUSAL_SECONDS, ""))
            if monotonic() - refused_at < _REFUSAL_SECONDS:
                raise DiskLimitError(reason)

    def refuse(self, mirror: Path, ref: str, error: DiskLimitError) -> None:
        """Remember that fetching this was too much."""
        self._refused[mirror, ref] = (monotonic(), str(error))

    async def free_space(self, mirror: Path) -> None:
        """Remove the least recently used mirrors beside this one while all together are too large."""
        others = await self._others(mirror)
        for path in sorted(others, key=_last_use):
            if not self._is_over_total():
                return
            if await _remove_unused(path):
                log.warning("mirror_removed", mirror=path.name, reason=f"MIRRORS_LIMIT_MB is {self.total_limit_mb}")
                del self._sizes[path]

    async def run_bounded(self, mirror: Path, command: Coroutine[Any, Any, object]) -> None:
        """Run a command that lets a mirror grow. Raises what the command does, or DiskLimitError if it grows too much:
        then the command was cancelled.
        """
        tasks = [asyncio.ensure_future(command), asyncio.ensure_future(self._wait_until_too_large(mirror))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if await self.is_too_large(mirror):
            raise DiskLimitError(self._reason(mirror))

    async def _wait_until_too_large(self, mirror: Path) -> None:
        while not await self.is_too_large(mirror):  # noqa: ASYNC110 - git sets no event
            await asyncio.sleep(CHECK_SECONDS)

    async def is_too_large(self, mirror: Path) -> bool:
        """Whether a mirror is larger than it may be."""
        self._sizes[mirror] = await asyncio.to_thread(directory_size, mirror)
        if self._sizes[mirror] > self.mirror_limit_mb * MEGABYTE:
            return True
        await self.free_space(mirror)
        return self._is_over_total()

    def _is_over_total(self) -> bool:
        return sum(self._sizes.values()) > self.total_limit_mb * MEGABYTE

    def _reason(self, mirror: Path) -> str:
        if self._sizes[mirror] > self.mirror_limit_mb * MEGABYTE:
            return f"the bot's copy of the repository would be larger than MIRROR_LIMIT_MB ({self.mirror_limit_mb} MB)"
        return f"the bot's copies of repositories would be larger than MIRRORS_LIMIT_MB ({self.total_limit_mb} MB)"

    async def _others(self, mirror: Path) -> list[Path]:
        if monotonic() - self._measured_at >= _OTHERS_SECONDS:
            self._sizes = {path: size for path, size in self._sizes.items() if path == mirror}
            paths = await asyncio.to_thread(lambda: [path for path in mirror.parent.glob("*.git") if path.is_dir()])
            self._sizes |= {path: await asyncio.to_thread(directory_size, path) for path in paths}
            self._measured_at = monotonic()
        return [path for path in self._sizes if path != mirror]


def _last_use(mirror: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return mirror.stat().st_mtime
    return 0.0


async def _remove_unused(mirror: Path) -> bool:
    """Remove a mirror, unless a process is using it."""
    try:
        async with (
            file_lock(mirror.with_suffix(".lock"), timeout_seconds=0),
            file_lock(mirror.with_suffix(".readers"), timeout_seconds=0),
        ):
            await asyncio.to_thread(shutil.rmtree, mirror, ignore_errors=True)
    except TimeoutError:
        return False
    return True
