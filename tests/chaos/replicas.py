"""The replicas and their PostgreSQL, which are killed without warning and come again; and the door in front of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from adapters.database.embedded import EmbeddedPostgres
from sandbox import RealClock


@dataclass
class Replica:
    """A process; `address` is empty while it does not listen yet, `since` when it began to."""

    pid: int
    address: str = ""
    since: float = 0.0


@dataclass
class Crowd:
    """Replicas side by side on one database."""

    folder: Path
    clock: RealClock
    speed: float
    settings: Mapping[str, str]
    running: list[Replica] = field(default_factory=list)
    started: int = 0
    killed: int = 0
    failed: list[str] = field(default_factory=list)  # replicas that ended without being killed
    _nursery: asyncio.subprocess.Process = field(init=False)
    _hearing: asyncio.Task[None] = field(init=False)
    _turn: int = 0

    async def open(self, replicas: int) -> None:
        """The first replicas are on their way."""
        self._nursery = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.fork_server"),
            env={"PATH": os.environ["PATH"], **self.settings},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._hearing = asyncio.create_task(self._hears())
        for _ in range(replicas):
            self.start()

    def start(self) -> None:
        """One more replica is on its way."""
        self.started += 1
        order = {
            "log": str(self.folder / f"replica-{self.started}.log"),
            "moment": self.clock.now().isoformat(),
            "epoch": time.time(),
            "speed": self.speed,
        }
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(order).encode() + b"\n")

    async def _hears(self) -> None:
        """What becomes of the replicas."""
        assert self._nursery.stdout is not None
        async for line in self._nursery.stdout:
            pid, what, *more = line.decode().split()
            if what == "born":
                self.running.append(Replica(int(pid)))
                continue
            one = next((replica for replica in self.running if replica.pid == int(pid)), None)
            if one is None:
                continue  # we killed it
            if what == "listens":
                one.address, one.since = more[0], time.monotonic()
            else:
                self.running.remove(one)
                self.failed.append(f"a replica ended by itself with {more[0]}")
                self.start()

    def kill_one(self, lived: float) -> bool:
        """Kill one with -9 that has worked for so many seconds, and start another one; False where none has."""
        born = time.monotonic() - lived
        victim = next((replica for replica in self.running if replica.address and replica.since <= born), None)
        if victim is None:
            return False
        self.running.remove(victim)
        os.kill(victim.pid, signal.SIGKILL)
        self.killed += 1
        self.start()
        return True

    async def stop(self) -> None:
        """All of them are killed; nobody comes again."""
        self._hearing.cancel()
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        await self._nursery.wait()

    async def hand_on(self, request: web.Request) -> web.Response:
        """The door: a delivery goes to whoever is next and listens; without anybody GitHub finds nobody."""
        body = await request.read()
        there = [replica for replica in self.running if replica.address]
        if not there:
            return web.Response(status=502)
        self._turn += 1
        address = there[self._turn % len(there)].address
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
                http.post(f"{address}/webhook", data=body, headers=request.headers) as answer,
            ):
                return web.Response(status=answer.status, body=await answer.read())
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)


@dataclass
class Server:
    """A PostgreSQL of the storm's own."""

    folder: Path
    killed: int = 0
    _server: EmbeddedPostgres = field(init=False)

    async def start(self) -> str:
        """Start it; gives its URL."""
        self._server = EmbeddedPostgres(self.folder)
        return await asyncio.to_thread(self._server.start)

    async def kill(self) -> None:
        """Kill it with -9, and start it again: it recovers by its log."""
        pid = await asyncio.to_thread(self._pid)
        os.kill(pid, signal.SIGKILL)
        self.killed += 1
        while _lives(pid):
            await asyncio.sleep(0.05)
        await self.running()

    async def running(self) -> None:
        """Start it if it does not run: whoever was about to may have been interrupted."""
        # The library takes a server that it has started for one that runs: here it is told to look.
        await asyncio.to_thread(self._server._server.ensure_postgres_running)

    def _pid(self) -> int:
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    async def stop(self) -> None:
        """Stop it."""
        await asyncio.to_thread(self._server.stop)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
