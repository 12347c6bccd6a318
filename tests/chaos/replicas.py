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
    ready_at: float = 0.0


@dataclass
class ReplicaPool:
    """Replicas side by side on one database."""

    folder: Path
    clock: RealClock
    speed: float
    settings: Mapping[str, str]
    replicas: list[Replica] = field(default_factory=list)
    started_count: int = 0
    killed_count: int = 0
    failures: list[str] = field(default_factory=list)  # replicas that ended without being killed
    _fork_server: asyncio.subprocess.Process = field(init=False)
    _reader_task: asyncio.Task[None] = field(init=False)
    _next_index: int = 0

    async def open(self, count: int) -> None:
        """The first replicas are on their way."""
        self._fork_server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.chaos.fork_server"),
            env={"PATH": os.environ["PATH"], **self.settings},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reader_task = asyncio.create_task(self._read_events())
        for _ in range(count):
            self.start()

    def start(self) -> None:
        """One more replica is on its way."""
        self.started_count += 1
        request = {
            "log": str(self.folder / f"replica-{self.started_count}.log"),
            "moment": self.clock.now().isoformat(),
            "epoch": time.time(),
            "speed": self.speed,
        }
        assert self._fork_server.stdin is not None
        self._fork_server.stdin.write(json.dumps(request).encode() + b"\n")

    async def _read_events(self) -> None:
        """What becomes of the replicas."""
        assert self._fork_server.stdout is not None
        async for line in self._fork_server.stdout:
            pid, event, *arguments = line.decode().split()
            if event == "born":
                self.replicas.append(Replica(int(pid)))
                continue
            child = next((replica for replica in self.replicas if replica.pid == int(pid)), None)
            if child is None:
                continue  # we killed it
            if event == "listens":
                child.address, child.ready_at = arguments[0], time.monotonic()
            else:
                self.replicas.remove(child)
                self.failures.append(f"a replica ended by itself with {arguments[0]}")
                self.start()

    def kill_one(self, min_seconds: float) -> bool:
        """Kill one with -9 that has worked for so many seconds, and start another one; False where none has."""
        ready_before = time.monotonic() - min_seconds
        victim = next(
            (replica for replica in self.replicas if replica.address and replica.ready_at <= ready_before), None
        )
        if victim is None:
            return False
        self.replicas.remove(victim)
        os.kill(victim.pid, signal.SIGKILL)
        self.killed_count += 1
        self.start()
        return True

    async def stop(self) -> None:
        """Kill all of them and restart none."""
        self._reader_task.cancel()
        assert self._fork_server.stdin is not None
        self._fork_server.stdin.close()
        await self._fork_server.wait()

    async def forward_delivery(self, request: web.Request) -> web.Response:
        """The load balancer: a delivery goes to the next replica that listens; without one it fails."""
        body = await request.read()
        ready_replicas = [replica for replica in self.replicas if replica.address]
        if not ready_replicas:
            return web.Response(status=502)
        self._next_index += 1
        address = ready_replicas[self._next_index % len(ready_replicas)].address
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
                http.post(f"{address}/webhook", data=body, headers=request.headers) as response,
            ):
                return web.Response(status=response.status, body=await response.read())
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)


@dataclass
class PostgresServer:
    """A PostgreSQL of the storm's own."""

    folder: Path
    killed_count: int = 0
    _server: EmbeddedPostgres = field(init=False)

    async def start(self) -> str:
        """Start it; gives its URL."""
        self._server = EmbeddedPostgres(self.folder)
        return await asyncio.to_thread(self._server.start)

    async def kill(self) -> None:
        """Kill it with -9, and start it again: it recovers by its log."""
        pid = await asyncio.to_thread(self._pid)
        os.kill(pid, signal.SIGKILL)
        self.killed_count += 1
        while _is_running(pid):
            await asyncio.sleep(0.05)
        await self.ensure_running()

    async def ensure_running(self) -> None:
        """Start it if it does not run: an earlier call may have been interrupted."""
        # The library takes a server that it has started for one that runs: here it is told to look.
        await asyncio.to_thread(self._server._server.ensure_postgres_running)

    def _pid(self) -> int:
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    async def stop(self) -> None:
        """Stop it."""
        await asyncio.to_thread(self._server.stop)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
