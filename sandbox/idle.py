"""Who is busy: the book that lets a test wait until the sandbox has nothing left to do.

Every delivery, every request being served and every background job is a piece of `Work`. Work that sleeps on
the sandbox's clock is not busy: it waits for the test to turn the clock, so waiting for *it* would wait for
ever.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar


class Work:
    """One thing under way. It is busy from its start to its end, less the time it sleeps on the clock."""

    def __init__(self, activity: Activity, name: str) -> None:
        self.name = name
        self._activity = activity
        self._sleepers = 0
        self._ended = False
        activity._add(self)

    def pause(self) -> None:
        """Begin to sleep on the clock."""
        self._sleepers += 1
        if self._sleepers == 1 and not self._ended:
            self._activity._remove(self)

    def resume(self) -> None:
        """Woken: busy again. Called by the one who wakes, so that there is no moment of false quiet."""
        self._sleepers -= 1
        if self._sleepers == 0 and not self._ended:
            self._activity._add(self)

    def end(self) -> None:
        """Finished, whichever way."""
        if not self._ended:
            self._ended = True
            if self._sleepers == 0:
                self._activity._remove(self)


class Activity:
    """The set of busy work, with an event that is set while it is empty."""

    def __init__(self) -> None:
        self._busy: set[Work] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def idle(self) -> bool:
        """Nothing is busy."""
        return not self._busy

    @property
    def names(self) -> list[str]:
        """What is busy just now, for messages."""
        return sorted(work.name for work in self._busy)

    def begin(self, name: str) -> Work:
        """Enter a new piece of work, busy from now on."""
        return Work(self, name)

    async def settled(self) -> None:
        """Return when nothing has been busy for a few turns of the event loop."""
        quiet_turns = 0
        while quiet_turns < 5:
            await self._quiet.wait()
            await asyncio.sleep(0)
            quiet_turns = quiet_turns + 1 if self.idle else 0

    def _add(self, work: Work) -> None:
        self._busy.add(work)
        self._quiet.clear()

    def _remove(self, work: Work) -> None:
        self._busy.discard(work)
        if not self._busy:
            self._quiet.set()


current_work: ContextVar[Work | None] = ContextVar("current_work", default=None)
