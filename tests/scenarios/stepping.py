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
    read_count: int = 0
    sleep_advances_clock: bool = False  # the bot's own sleep turns the clock, because the story does not

    def now(self) -> datetime:
        """The time now."""
        self.read_count += 1
        return self.clock.now() + timedelta(microseconds=self.read_count)

    async def sleep(self, seconds: float) -> None:
        """Return when the clock was turned on by so many seconds."""
        if self.sleep_advances_clock:
            self.clock.advance(seconds)
        else:
            await self.clock.sleep(seconds)


@contextmanager
def wait_after_effects(hub: Sandbox) -> Iterator[None]:
    """After each effect the bot waits until the world has reacted: agents, CI, and the deliveries about them."""
    original_senders = dict(SENDERS)

    def wrap_sender(
        send: Callable[[Any, SendContext], Awaitable[SendResult]],
    ) -> Callable[[Any, SendContext], Awaitable[SendResult]]:
        async def send_and_wait(effect: Any, context: SendContext) -> SendResult:
            result = await send(effect, context)
            await hub.wait_until_idle()
            return result

        return send_and_wait

    SENDERS.update({effect_type: wrap_sender(send) for effect_type, send in original_senders.items()})
    try:
        yield
    finally:
        SENDERS.update(original_senders)
