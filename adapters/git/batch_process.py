"""Exchanges requests and answers with a long-lived git process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol, TypeVar

from adapters.git.errors import GitError, GitTimeoutError

_MAX_LINE_BYTES: Final = 256 * 1024
"""Bytes of the longest line that is read; a path has at most 4,096."""

_MAX_STDERR_BYTES: Final = 8_000

_Answer = TypeVar("_Answer")


class Starter(Protocol):
    """Starts git with a clean environment."""

    @property
    def timeout(self) -> float:
        """Seconds that a command, or an answer, may take."""

    async def start(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        line_limit: int = ...,
    ) -> asyncio.subprocess.Process:
        """Start git in a process group of its own. Raises GitError."""


class BatchProcess:
    """Starts git with the first request and keeps it until `close`, or until an answer is not read completely.

    Requests wait for each other. If a process that was kept dies or gives an answer that cannot be parsed, a new one is
    started once, because the repository may have been replaced; if that fails as well, or was new, this is an error.
    """

    def __init__(
        self, git: Starter, *arguments: str, git_dir: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._git = git
        self._arguments = arguments
        self._git_dir = git_dir
        self._environment = environment
        self._lock = asyncio.Lock()
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process; None when none is running."""
        return None if self._child is None else self._child.process.pid

    async def send(self, request: bytes, read_answer: Callable[[asyncio.StreamReader], Awaitable[_Answer]]) -> _Answer:
        """Send a request and return what `read` returns, which must read the complete answer.

        `read` raises ValueError or EOFError for an answer that cannot be parsed. Raises GitError, and GitTimeoutError
        when the answer takes longer than a command may. If the caller is cancelled, the process is killed: the next
        caller must not receive the rest of this answer.
        """
        async with self._lock:
            was_running = self._child is not None
            try:
                return await self._send_once(request, read_answer)
            except GitTimeoutError:
                raise
            except GitError:
                if not was_running:
                    raise
            return await self._send_once(request, read_answer)

    async def close(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def _send_once(
        self, request: bytes, read_answer: Callable[[asyncio.StreamReader], Awaitable[_Answer]]
    ) -> _Answer:
        child = self._child
        if child is None:
            child = self._child = _Child(
                await self._git.start(
                    *self._arguments, git_dir=self._git_dir, environment=self._environment, line_limit=_MAX_LINE_BYTES
                )
            )
        is_complete = False
        try:
            async with asyncio.timeout(self._git.timeout):
                # No drain: git answers while it reads, and the rest of the request waits in memory.
                child.stdin.write(request)
                answer = await read_answer(child.stdout)
            is_complete = True
        except TimeoutError:
            raise GitTimeoutError(self._arguments[0], self._git.timeout) from None
        except (ValueError, EOFError, OSError, asyncio.LimitOverrunError) as error:
            await self._discard(child)
            raise GitError(self._arguments[0], child.process.returncode or 0, child.error_text or str(error)) from error
        finally:
            if not is_complete:
                await self._discard(child)
        return answer

    async def _discard(self, child: _Child) -> None:
        if self._child is child:
            self._child = None
        await child.end()


class _Child:
    """A running process and the end of its standard error."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process was started without pipes")
        self.process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        self._stderr = bytearray()
        self._stderr_task = asyncio.create_task(self._read_stderr(process.stderr))
        self._end_task: asyncio.Task[None] | None = None

    @property
    def error_text(self) -> str:
        """The end of its standard error."""
        return self._stderr.decode("utf-8", "replace").strip()

    async def end(self) -> None:
        """Kill its process group, wait for it and close its pipes."""
        if self._end_task is None:
            kill_group(self.process)
            self._end_task = asyncio.create_task(self._close_pipes())
        # Shielded: a caller that is cancelled must not leave a zombie behind.
        await asyncio.shield(self._end_task)

    async def _close_pipes(self) -> None:
        self.stdin.close()
        with contextlib.suppress(OSError):
            await self.stdin.wait_closed()
        while await self.stdout.read(_MAX_LINE_BYTES):  # to its end, so that the pipe is closed
            pass
        await self._stderr_task
        await self.process.wait()

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(_MAX_LINE_BYTES):
            self._stderr += chunk
            del self._stderr[:-_MAX_STDERR_BYTES]


def kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill a process that was started in a group of its own, and its children."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
