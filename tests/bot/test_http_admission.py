"""Too much of anything: the real endpoint says so in time, over real sockets, and keeps what it took."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select, update

from adapters.database import tables as t
from bot.app import Bot, assemble, listening
from bot.http import delivery_writer, heartbeat, server, webhook
from bot.http.admission import MEGABYTE, AdmissionControl, AdmissionLimits, Overloaded, malloc_trim, memory_mb
from config.settings import load_settings
from sandbox.state.keys import key_pair

SECRET = "a-webhook-secret"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Door:
    """A bot that only listens: no worker processes the deliveries."""

    bot: Bot
    address: str
    http: aiohttp.ClientSession
    sent: int = 0
    taken: list[str] = field(default_factory=list)

    def delivery(self, size: int = 0) -> tuple[bytes, dict[str, str]]:
        """The next delivery, as GitHub would send it; its title is so long."""
        self.sent += 1
        body = json.dumps({"action": "opened", "issue": {"number": self.sent, "title": "x" * size}}).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return body, {
            "Content-Type": "application/json",
            "X-GitHub-Delivery": f"guid-{self.sent}",
            "X-GitHub-Event": "issues",
            "X-Hub-Signature-256": f"sha256={signature}",
        }

    async def post(self, size: int = 0) -> tuple[int, str, str]:
        """Send one; gives the status, the reason if any, and when to come again."""
        body, headers = self.delivery(size)
        async with self.http.post(f"{self.address}/webhook", data=io.BytesIO(body), headers=headers) as answer:
            if answer.status == 202:
                self.taken.append(headers["X-GitHub-Delivery"])
            told = await answer.json()
            return answer.status, told.get("error", ""), answer.headers.get("Retry-After", "")

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection of a client that has all the time in the world."""
        host, port = self.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield reader, writer
        finally:
            writer.close()

    def head(self, length: int, headers: dict[str, str]) -> bytes:
        lines = [
            f"{name}: {value}" for name, value in {**headers, "Host": "here", "Content-Length": str(length)}.items()
        ]
        return "\r\n".join(["POST /webhook HTTP/1.1", *lines, "", ""]).encode()

    async def ready(self) -> tuple[int, str]:
        async with self.http.get(f"{self.address}/readyz") as answer:
            return answer.status, (await answer.json()).get("reason", "")

    async def kept(self) -> list[str]:
        async with self.bot.database.autocommit() as connection:
            return sorted((await connection.execute(select(t.deliveries.c.guid))).scalars())

    async def metric(self, name: str) -> float:
        async with self.http.get(f"{self.address}/metrics") as answer:
            [line] = [line for line in (await answer.text()).splitlines() if line.startswith(f"{name} ")]
            return float(line.split()[1])


@asynccontextmanager
async def opened(url: str, folder: Path, **limits: Any) -> AsyncIterator[Door]:
    """A door with these limits."""
    env = {
        "GITHUB_APP_ID": "1",
        "GITHUB_PRIVATE_KEY": key_pair(1)[0],
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": url,
        "DATA_DIR": str(folder),
        "PORT": "0",
    }
    async with assemble(load_settings(env, env_file=None)) as bot, aiohttp.ClientSession() as http:
        bot.admission.limits = replace(bot.admission.limits, **{"memory_mb": 10_000, **limits})
        async with listening(bot) as address:
            door = Door(bot, address, http)
            yield door
        assert await door.kept() == sorted(door.taken), "what was answered 202 is there, and nothing else"
        assert (bot.admission.active_requests, bot.admission.buffered_bytes) == (0, 0)


async def test_what_is_measured_is_the_memory_of_now(tmp_path: Path) -> None:
    before = memory_mb()
    block = b"x" * (64 * MEGABYTE)
    with_it = memory_mb()
    del block
    gc.collect()
    malloc_trim()
    assert with_it - before > 60
    assert with_it - memory_mb() > 60


async def test_memory_above_the_limit_and_back_again(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path) as door:
        assert (await door.post())[0] == 202
        assert await door.ready() == (200, "")
        door.bot.admission.limits = replace(door.bot.admission.limits, memory_mb=20)
        status, reason, again = await door.post()
        assert (status, again) == (503, "30")
        assert reason.startswith("memory: ")
        assert reason.endswith(" MB are in use, the limit is 20")
        assert (await door.ready())[0] == 503
        assert await door.metric("orchestrator_memory_limit_mb") == 20
        assert await door.metric("orchestrator_memory_usage_mb") > 20
        await door.bot.admission.refresh(door.bot.database)  # gives back what it can, and goes on
        door.bot.admission.limits = replace(door.bot.admission.limits, memory_mb=10_000)
        assert (await door.post())[0] == 202


async def test_the_queue_is_full_and_is_worked_off(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path, max_queued_deliveries=2) as door:
        for _ in range(3):
            assert (await door.post())[0] == 202
            await door.bot.admission.refresh(door.bot.database)
        assert await door.post() == (503, "queue: more than 2 deliveries wait to be handled", "30")
        assert await door.ready() == (503, "queue: more than 2 deliveries wait to be handled")
        async with door.bot.database.autocommit() as connection:
            await connection.execute(update(t.deliveries).where(t.deliveries.c.guid == "guid-1").values(handled_at=NOW))
        await door.bot.admission.refresh(door.bot.database)
        assert (await door.post())[0] == 202


async def test_too_many_at_the_same_time(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path, max_concurrent_requests=1) as door, door.raw() as (reader, writer):
        body, headers = door.delivery()
        writer.write(door.head(len(body), headers) + body[:5])
        while not door.bot.admission.active_requests:
            await asyncio.sleep(0)
        assert await door.post() == (503, "requests: 1 deliveries are in progress", "5")
        writer.write(body[5:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
        door.taken.append(headers["X-GitHub-Delivery"])
        assert (await door.post())[0] == 202


@pytest.mark.parametrize(
    ("path", "first"), [("/webhook", b"HTTP/1.1 408"), (heartbeat.PATH, b"HTTP/1.1 408"), ("/webhook header", b"")]
)
async def test_slow_clients_are_cut_off(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, first: bytes
) -> None:
    monkeypatch.setattr(heartbeat, "BODY_TIMEOUT_SECONDS", 0.05)
    slow = {"header_timeout_seconds": 0.1, "body_timeout_seconds": 0.05, "linger_seconds": 0.05}
    async with opened(database_url, tmp_path, **slow) as door, door.raw() as (reader, writer):
        body, headers = door.delivery()
        if path == heartbeat.PATH:
            monkeypatch.setattr(heartbeat.HeartbeatTokens, "authenticate", lambda *_: [])
        whole = door.head(len(body), headers).replace(b"/webhook", path.split()[0].encode()) + body[:5]
        writer.write(whole if first else whole[:40])
        assert (await reader.readline()).startswith(first)
        await reader.read()  # to the end: it is closed
        assert (await door.post())[0] == 202


async def test_connections_beyond_the_limit_are_refused_while_all_are_in_use(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path, max_connections=1) as door, door.raw() as (reader, writer):
        body, headers = door.delivery()
        writer.write(door.head(len(body), headers) + body[:5])
        while not door.bot.admission.active_requests:
            await asyncio.sleep(0)
        assert await door.post() == (503, "connections: 1 are open", "5")
        writer.write(body[5:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
        door.taken.append(headers["X-GitHub-Delivery"])


@pytest.mark.parametrize(
    "sent", [b"", b"POST /webhook HTTP/1.1\r\nHost: h", b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"]
)
async def test_idle_connections_make_room_for_deliveries(database_url: str, tmp_path: Path, sent: bytes) -> None:
    async with AsyncExitStack() as stack, opened(database_url, tmp_path, max_connections=5) as door:
        idle = [await stack.enter_async_context(door.raw()) for _ in range(20)]
        for reader, writer in idle[-5:]:
            writer.write(sent)
            if sent.startswith(b"GET"):
                await reader.readuntil(b"\r\n\r\n")
        for _ in range(5):
            assert (await door.post(100_000))[0] == 202
        assert await idle[0][0].read() == b"", "closed without a response"


async def test_idle_connections_are_closed_after_seconds_only_while_they_are_scarce(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_CHECK_SECONDS", 0.001)
    few = {"max_connections": 4, "scarce_idle_seconds": 0.0}
    async with opened(database_url, tmp_path, **few) as door, door.raw() as (first, _), door.raw() as (second, _):
        early = [asyncio.create_task(reader.read()) for reader in (first, second)]
        await door.bot.database.now()
        assert not any(task.done() for task in early), "half of them is not scarce"
        async with door.raw() as (third, _), asyncio.timeout(60):
            await asyncio.gather(*early, third.read())  # until the server closes them


ENCODINGS = ("gzip", "GZIP", "deflate", "br", "zstd", "identity", "gzip, gzip", "x-unknown", "")


async def test_an_encoded_body_is_refused_before_it_is_read(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path, linger_seconds=0) as door:
        for path, encoding in [*product(("/webhook",), ENCODINGS), (heartbeat.PATH, "gzip"), ("/healthz", "br")]:
            _, headers = door.delivery()
            head = door.head(1000, {**headers, "Content-Encoding": encoding})
            async with door.raw() as (reader, writer):
                writer.write(head.replace(b"/webhook", path.encode()))  # and nothing of the body
                assert (await reader.readline()).startswith(b"HTTP/1.1 415"), (path, encoding)


async def test_many_large_bodies_share_what_room_there_is(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url, tmp_path, max_buffered_body_mb=2, body_wait_seconds=0.2) as door:
        intake, most = door.bot.admission, 0
        take = webhook.WebhookEndpoint._receive_body

        async def watched(*given: Any) -> str:
            nonlocal most
            most = max(most, intake.buffered_bytes)
            return await take(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(webhook.WebhookEndpoint, "_receive_body", watched)
            answers = await asyncio.gather(
                *(door.post(MEGABYTE * 3 // 2) for _ in range(12)), *(door.post() for _ in range(12))
            )
        assert most <= 2 * MEGABYTE
        assert {status for status, _, _ in answers} <= {202, 503}
        assert answers[0][0] == 202
        assert [status for status, _, _ in answers[12:]] == [202] * 12, "small ones need not stand in line"
        assert {(reason, again) for status, reason, again in answers if status == 503} <= {
            ("bodies: 2 MB are being received", "5")
        }


async def test_a_database_that_does_not_answer(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> set[str]:
        await asyncio.Event().wait()
        return set()

    async with opened(database_url, tmp_path, store_timeout_seconds=0.05) as door:
        with monkeypatch.context() as patch:
            patch.setattr(delivery_writer, "store_deliveries", never)
            assert await door.post() == (503, "database: it does not answer", "5")
        door.bot.admission.limits = replace(door.bot.admission.limits, store_timeout_seconds=60)
        assert (await door.post())[0] == 202


async def test_a_cancelled_request_leaves_the_admission_queue() -> None:
    intake = AdmissionControl(AdmissionLimits(max_buffered_body_mb=1, body_wait_seconds=0.01))
    order: list[str] = []

    async def large(name: str) -> None:
        async with intake.buffer_body(MEGABYTE):
            order.append(name)

    async with intake.buffer_body(MEGABYTE):
        with pytest.raises(Overloaded, match="1 MB are being received"):
            await large("impatient")
        intake.limits = replace(intake.limits, body_wait_seconds=60)
        cancelled, waiting = asyncio.create_task(large("cancelled")), asyncio.create_task(large("waiting"))
        await asyncio.sleep(0)
        cancelled.cancel()
    await waiting
    assert order == ["waiting"]
    assert intake.buffered_bytes == 0
