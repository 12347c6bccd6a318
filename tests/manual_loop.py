"""Turns the clock of the event loop, so that a time-out passes at the moment a test wants, not after a while."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a shell script does instead of its work: it says so again and again, and never ends. Once would not do, because
# the time-out may begin after the script does.
HANGING_SCRIPT = "while echo > {signal}; do sleep 0.02; done"


class ManualLoop:
    """The running loop with a clock that can be advanced. Every timer of the loop sees it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._offset, self._real_time = 0.0, self._loop.time
        self._loop.time = self._now  # type: ignore[method-assign] # this loop alone, and it ends with the test

    def _now(self) -> float:
        return self._real_time() + self._offset

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._offset += seconds

    @contextmanager
    def advance_on_signal(self, signal: Path, seconds: float) -> Iterator[None]:
        """Let so many seconds pass each time a process writes to `signal`, a FIFO that is made here."""
        os.mkfifo(signal)
        reader = os.open(signal, os.O_RDWR | os.O_NONBLOCK)  # also for writing, so that it never ends

        def on_readable() -> None:
            os.read(reader, 4096)
            self.advance(seconds)

        self._loop.add_reader(reader, on_readable)
        try:
            yield
        finally:
            self._loop.remove_reader(reader)
            os.close(reader)
