"""The replicas and their PostgreSQL, which are killed without warning and come again; and the door in front of them."""

from __future__ import annotations

import asyncio
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

STARTING = 120.0  # seconds that a start may take on a busy machine


@dataclass
class Replica:
    """A process; `address` is empty while it does not listen yet, `since` when it began to."""

    child: asyncio.subprocess.Process
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
    _starting: set[asyncio.Task[None]] = field(default_factory=set)
    _turn: int = 0

    def start(self) -> None:
        """One more replica is on its way."""
        task = asyncio.create_task(self._start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self) -> None:
        self.started += 1
        number = self.started
        now = (self.clock.now().isoformat(), str(time.time()), str(self.speed))
        with (self.folder / f"replica-{number}.log").open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.replica", *now),
                env={"PATH": os.environ["PATH"], **self.settings},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        replica = Replica(child)
        self.running.append(replica)
        assert child.stdout is not None
        replica.address = (await asyncio.wait_for(child.stdout.readline(), STARTING)).decode().strip()
        replica.since = time.monotonic()
        await child.wait()
        if replica in self.running:  # nobody killed it
            self.running.remove(replica)
            self.failed.append(f"replica {number} ended by itself with {child.returncode}")
            self.start()

    def kill_one(self, lived: float) -> bool:
        """Kill one with -9 that has worked for so many seconds, and start another one; False where none has."""
        born = time.monotonic() - lived
        victim = next((replica for replica in self.running if replica.address and replica.since <= born), None)
        if victim is None:
            return False
        self.running.remove(victim)
        victim.child.send_signal(signal.SIGKILL)
        self.killed += 1
        self.start()
        return True

    async def stop(self) -> None:
        """All of them are killed; nobody comes again."""
        children = [replica.child for replica in self.running]
        self.running.clear()
        for task in list(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for child in children:
            if child.returncode is None:
                child.kill()
            await child.wait()

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
