"""Where replicas are born: each is a process of its own, forked from one that has imported the bot already.

A storm kills one every few seconds. If each imported everything anew, a small machine would do little else.

Run as `python -m tests.chaos.fork_server`, with the bot's settings in the environment.
Each line of the input is an order
in JSON: the path of a log, and the storm's clock. Each line of the output is news of a process: `<pid> born`,
`<pid> listens <address>`, `<pid> ended <status>`. When the input ends, all of them are killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.chaos.replica import StormClock, work

LOOK = 0.1  # seconds between two looks at who has ended


def main() -> None:
    """Take orders until the input ends."""
    children: set[int] = set()
    for order in _orders():
        if order is not None:
            children.add(_born(order))
        children -= _ended()
    for child in children:
        os.kill(child, signal.SIGKILL)


def _orders() -> Iterator[dict[str, Any] | None]:
    """Each order as it comes; None where none came for a while."""
    rest = b""
    while True:
        if not select.select([0], [], [], LOOK)[0]:
            yield None
            continue
        read = os.read(0, 65536)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        yield from map(json.loads, lines)


def _born(order: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        _live(order)
    _tell(child, "born")
    return child


def _live(order: dict[str, Any]) -> None:
    """The life of a replica; it does not return."""
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, sys.stderr.fileno())
        clock = StormClock(datetime.fromisoformat(order["moment"]), order["epoch"], order["speed"])
        asyncio.run(work(clock, lambda address: _tell(os.getpid(), "listens", address)))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _ended() -> set[int]:
    ended: set[int] = set()
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if child == 0:
            return ended
        ended.add(child)
        _tell(child, "ended", str(os.waitstatus_to_exitcode(status)))


def _tell(child: int, *news: str) -> None:
    os.write(1, f"{child} {' '.join(news)}\n".encode())  # in one piece: several processes write here


if __name__ == "__main__":
    main()
