"""The endpoint of the bot in a process of its own, without a worker; with `--bare` it keeps nothing."""

from __future__ import annotations

import asyncio
import signal
import sys

from adapters.database.deliveries import StoredDelivery
from bot.app import assemble, listening
from bot.http.delivery_writer import DeliveryWriter
from bot.logs import configure_logs
from config.settings import load_settings


async def _discard_delivery(self: DeliveryWriter, delivery: StoredDelivery, lock_key: str) -> bool:
    return True


async def main() -> None:
    """Listen until terminated; the address is the first line that is printed."""
    configure_logs("ERROR", stream=sys.stderr)
    if "--bare" in sys.argv:
        setattr(DeliveryWriter, "write", _discard_delivery)  # noqa: B010 - a method, which type checkers would not have assigned
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with assemble(load_settings(env_file=None)) as bot, listening(bot) as address:
        print(f"Listening on {address};", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
