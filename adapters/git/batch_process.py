"""A git process that answers many questions, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol, TypeVar

from adapters.git.errors import GitError, GitTimeoutError

_LINE: Final = 256 * 1024
"""Bytes of the longest line that is read; a path has at most 4,096."""

_STDERR_KEPT: Final = 8_000

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
    """Starts when it is first asked and lives until it is closed, or until an answer is not read to its end.

    Callers wait for each other. A process that dies, or gives an answer that cannot be read, is started again once if
    it had answered before: its repository may have been replaced. `close` may be called at any time.
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

    async def ask(self, question: bytes, read: Callable[[asyncio.StreamReader], Awaitable[_Answer]]) -> _Answer:
        """Send a question and give what `read` makes of the answer, of which it must read every byte.

        `read` raises ValueError or EOFError for an answer that makes no sense. Raises GitError, and GitTimeoutError
        when it takes longer than a command may. When the caller is cancelled the process is killed: the rest of the
        answer must not be taken for the next one.
        """
        async with self._lock:
            used = self._child is not None
            try:
                return await self._ask_once(question, read)
            except GitTimeoutError:
                raise
            except GitError:
                if not used:
                    raise
            return await self._ask_once(question, read)

    async def close(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            await child.end()

    async def _ask_once(self, question: bytes, read: Callable[[asyncio.StreamReader], Awaitable[_Answer]]) -> _Answer:
        child = self._child
        if child is None:
            child = self._child = _Child(
                await self._git.start(
                    *self._arguments, git_dir=self._git_dir, environment=self._environment, line_limit=_LINE
                )
            )
        whole = False
        try:
            async with asyncio.timeout(self._git.timeout):
                # Not waited for: git answers while it reads, and what it has not read yet waits in memory.
                child.stdin.write(question)
                answer = await read(child.stdout)
            whole = True
        except TimeoutError:
            raise GitTimeoutError(self._arguments[0], self._git.timeout) from None
        except (ValueError, EOFError, OSError, asyncio.LimitOverrunError) as error:
            await self._drop(child)
            raise GitError(self._arguments[0], child.process.returncode or 0, child.said or str(error)) from error
        finally:
            if not whole:
                await self._drop(child)
        return answer

    async def _drop(self, child: _Child) -> None:
        if self._child is child:
            self._child = None
        await child.end()


class _Child:
    """A running process, with what it says on its standard error."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process was started without pipes")
        self.process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        self._stderr = bytearray()
        self._listening = asyncio.create_task(self._listen(process.stderr))
        self._ending: asyncio.Task[None] | None = None

    @property
    def said(self) -> str:
        """The end of what it said."""
        return self._stderr.decode("utf-8", "replace").strip()

    async def end(self) -> None:
        """Kill it with all its children, and wait until nothing of it is left."""
        if self._ending is None:
            kill_group(self.process)
            self._ending = asyncio.create_task(self._end())
        # Shielded: a caller that is cancelled must not leave a zombie behind.
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        self.stdin.close()
        with contextlib.suppress(OSError):
            await self.stdin.wait_closed()
        while await self.stdout.read(_LINE):  # to its end, so that the pipe is closed
            pass
        await self._listening
        await self.process.wait()

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while some := await stderr.read(_LINE):
            self._stderr += some
            del self._stderr[:-_STDERR_KEPT]


def kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill a process that was started in a group of its own, and its children."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
