"""One replica in the storm: the real bot, by the storm's time. It runs until it is killed."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from bot.app import assemble, listening
from bot.logs import configure_logs
from config.settings import load_settings


class ScaledClock:
    """The time of the storm, as all processes have it."""

    def __init__(self, start: datetime, epoch: float, speed: float) -> None:
        """At `epoch` of the machine's clock it was `moment`."""
        self._start, self._epoch_seconds, self._speed = start, epoch, speed

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return self._start + timedelta(seconds=(time.time() - self._epoch_seconds) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Let that much of the storm's time pass."""
        await asyncio.sleep(seconds / self._speed)


async def run_replica(clock: ScaledClock, on_listening: Callable[[str], None]) -> None:
    """Tell where it listens, and work; the settings are in the environment."""
    settings = load_settings(env_file=None)
    configure_logs(settings.log_level, stream=sys.stderr)
    async with assemble(settings, clock) as bot, listening(bot) as address:
        on_listening(address)
        await bot.run()
