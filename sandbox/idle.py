"""Track pending work, so that a test can wait until the sandbox is idle.

Every delivery, every request being served and every background job is a `PendingWork`. Work that sleeps on
the sandbox's clock is not busy: it waits for the test to advance the clock.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar


class PendingWork:
    """One piece of work: busy from its start to its end, except while it sleeps on the clock."""

    def __init__(self, tracker: IdleTracker, name: str) -> None:
        self.name = name
        self._tracker = tracker
        self._sleepers = 0
        self._ended = False
        tracker._add(self)

    def pause(self) -> None:
        """Start to sleep on the clock."""
        self._sleepers += 1
        if self._sleepers == 1 and not self._ended:
            self._tracker._remove(self)

    def resume(self) -> None:
        """Become busy again. The waking side calls this, so that the tracker is never idle in between."""
        self._sleepers -= 1
        if self._sleepers == 0 and not self._ended:
            self._tracker._add(self)

    def end(self) -> None:
        """Finish, with or without an error."""
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
        """Whether nothing is busy."""
        return not self._busy

    def begin_work(self, name: str) -> PendingWork:
        """Start a piece of work, busy from now on."""
        return PendingWork(self, name)

    async def wait_until_idle(self) -> None:
        """Return when nothing has been busy for a few iterations of the event loop."""
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
