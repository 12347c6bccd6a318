"""Where replicas are born: each is a process of its own, forked from one that has imported the bot already.

A chaos run kills one every few seconds. If each imported everything again, a small machine would do little else.

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

from tests.chaos.replica import ScaledClock, run_replica

POLL_SECONDS = 0.1  # seconds between two looks at who has ended


def main() -> None:
    """Take orders until the input ends."""
    children: set[int] = set()
    for request in _read_requests():
        if request is not None:
            children.add(_fork_replica(request))
        children -= _reap_children()
    for child in children:
        os.kill(child, signal.SIGKILL)


def _read_requests() -> Iterator[dict[str, Any] | None]:
    """Each order as it comes; None where none came for a while."""
    buffer = b""
    while True:
        if not select.select([0], [], [], POLL_SECONDS)[0]:
            yield None
            continue
        data = os.read(0, 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        yield from map(json.loads, lines)


def _fork_replica(request: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        _run_replica(request)
    _report(child, "born")
    return child


def _run_replica(request: dict[str, Any]) -> None:
    """The life of a replica; it does not return."""
    try:
        log_fd = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log_fd, sys.stderr.fileno())
        clock = ScaledClock(datetime.fromisoformat(request["moment"]), request["epoch"], request["speed"])
        asyncio.run(run_replica(clock, lambda address: _report(os.getpid(), "listens", address)))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _reap_children() -> set[int]:
    ended: set[int] = set()
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if child == 0:
            return ended
        ended.add(child)
        _report(child, "ended", str(os.waitstatus_to_exitcode(status)))


def _report(child: int, *fields: str) -> None:
    os.write(1, f"{child} {' '.join(fields)}\n".encode())  # in one piece: several processes write here


if __name__ == "__main__":
    main()
