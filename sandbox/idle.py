"""Who is busy: the book that lets a test wait until the sandbox has nothing left to do.

Every delivery, every request being served and every background job is a piece of `Work`. Work that sleeps on
the sandbox's clock is not busy: it waits for the test to turn the clock, so waiting for *it* would wait for
ever.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar


class PendingWork:
    """One thing under way. It is busy from its start to its end, less the time it sleeps on the clock."""

    def __init__(self, tracker: IdleTracker, name: str) -> None:
        self.name = name
        self._tracker = tracker
        self._sleepers = 0
        self._ended = False
        tracker._add(self)

    def pause(self) -> None:
        """Begin to sleep on the clock."""
        self._sleepers += 1
        if self._sleepers == 1 and not self._ended:
            self._tracker._remove(self)

    def resume(self) -> None:
        """Woken: busy again. Called by the one who wakes, so that there is no moment of false quiet."""
        self._sleepers -= 1
        if self._sleepers == 0 and not self._ended:
            self._tracker._add(self)

    def end(self) -> None:
        """Finished, whichever way."""
        if not self._ended:
            self._ended = True
            if self._sleepers == 0:
                self._tracker._remove(self)


class IdleTracker:
    """The set of busy work, with an event that is set while it is empty."""

    def __init__(self) -> None:
        self._busy: set[PendingWork] = set()
        self._idle_event = asyncio.Event()
        self._idle_event.set()

    @property
    def is_idle(self) -> bool:
        """Nothing is busy."""
        return not self._busy

    @property
    def busy_names(self) -> list[str]:
        """What is busy just now, for messages."""
        return sorted(work.name for work in self._busy)

    def begin_work(self, name: str) -> PendingWork:
        """Enter a new piece of work, busy from now on."""
        return PendingWork(self, name)

    async def wait_until_idle(self) -> None:
        """Return when nothing has been busy for a few turns of the event loop."""
        idle_turns = 0
        while idle_turns < 5:
            await self._idle_event.wait()
            await asyncio.sleep(0)
            idle_turns = idle_turns + 1 if self.is_idle else 0

    def _add(self, work: PendingWork) -> None:
        self._busy.add(work)
        self._idle_event.clear()

    def _remove(self, work: PendingWork) -> None:
        self._busy.discard(work)
        if not self._busy:
            self._idle_event.set()


current_work: ContextVar[PendingWork | None] = ContextVar("current_work", default=None)
