"""How a story goes on step by step, so that it is the same each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.senders import SENDERS, SendContext, SendResult
from sandbox import ManualClock, Sandbox


@dataclass
class BotClock:
    """The sandbox's clock as the bot reads it: a millionth of a second later each time, so that before is before."""

    clock: ManualClock
    readings: int = 0
    turns: bool = False  # the bot's own sleep turns the clock, because the story does not

    def now(self) -> datetime:
        """The time now."""
        self.readings += 1
        return self.clock.now() + timedelta(microseconds=self.readings)

    async def sleep(self, seconds: float) -> None:
        """Return when the clock was turned on by so many seconds."""
        if self.turns:
            self.clock.advance(seconds)
        else:
            await self.clock.sleep(seconds)


@contextmanager
def in_step(hub: Sandbox) -> Iterator[None]:
    """After each effect the bot waits until the world has reacted: agents, CI, and the deliveries about them."""
    real = dict(SENDERS)

    def waiting(
        send: Callable[[Any, SendContext], Awaitable[SendResult]],
    ) -> Callable[[Any, SendContext], Awaitable[SendResult]]:
        async def sends(effect: Any, errand: SendContext) -> SendResult:
            sent = await send(effect, errand)
            await hub.wait_until_idle()
            return sent

        return sends

    SENDERS.update({kind: waiting(send) for kind, send in real.items()})
    try:
        yield
    finally:
        SENDERS.update(real)
