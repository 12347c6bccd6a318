"""GitHub as a load: real payloads, signed, over open connections, at a pace or as fast as they are answered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Self

PAYLOADS = Path(__file__).parents[1] / "data" / "github" / "payloads"
SECRET = "a-webhook-secret"
EVENTS = (("issues", "issues.opened"), ("issue_comment", "issue_comment.created"), ("issues", "issues.edited"))
PAYLOAD_BYTES = 12_000  # bytes; GitHub's own examples of these lack what our installation adds


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the deliveries are said to come from."""

    repository_id: int
    full_name: str
    installation_id: int


def delivery_requests(origin: Origin, tasks: int) -> Iterator[tuple[str, bytes]]:
    """Deliveries without end, each with its GUID: the news of issues, some of them tasks (numbers 1 to `tasks`)."""
    payloads = [(event, json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))) for event, name in EVENTS]
    for _, payload in payloads:
        payload["repository"] |= {"id": origin.repository_id, "full_name": origin.full_name, "default_branch": "main"}
        payload["installation"] = {"id": origin.installation_id, "node_id": "I"}
    count = 0
    while True:
        for event, payload in payloads:
            count += 1
            is_for_task = event == "issue_comment"
            payload["issue"]["number"] = 1 + count % tasks if is_for_task else 1_000_000 + count
            yield _encode_request(event, payload)


def _encode_request(event: str, payload: dict[str, Any]) -> tuple[str, bytes]:
    payload["issue"]["body"] = ""
    payload["issue"]["body"] = "x" * max(0, PAYLOAD_BYTES - len(json.dumps(payload, separators=(",", ":"))))
    body = json.dumps(payload, separators=(",", ":")).encode()
    guid = str(uuid.uuid4())
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    header = (
        "POST /webhook HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {guid}\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return guid, header.encode() + body


@dataclass
class LoadResult:
    """What became of a load."""

    seconds: float = 0
    accepted_guids: list[str] = field(default_factory=list)  # answered 202
    latencies_ms: list[float] = field(default_factory=list)  # of each answer
    rejected: dict[str, int] = field(default_factory=dict)  # other answers, by status; "" for none

    def add_response(self, guid: str, status: str, ms: float) -> None:
        """One answer."""
        self.latencies_ms.append(ms)
        if status == "202":
            self.accepted_guids.append(guid)
        else:
            self.rejected[status] = self.rejected.get(status, 0) + 1


class Load:
    """Connections to one address. Use as `async with`."""

    def __init__(self, address: str, connections: int) -> None:
        self._host, port = address.removeprefix("http://").rsplit(":", 1)
        self._port = int(port)
        self._free_connections: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.LifoQueue()
        )
        self._writers: list[asyncio.StreamWriter] = []
        self._connection_count = connections

    async def __aenter__(self) -> Self:
        for _ in range(self._connection_count):
            await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()

    async def _connect(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        self._writers.append(writer)
        self._free_connections.put_nowait((reader, writer))

    async def _post(self, request: bytes) -> str:
        reader, writer = await self._free_connections.get()
        try:
            if reader.at_eof() or writer.transport.is_closing():
                return ""
            writer.write(request)
            header = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in header.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            return ""  # killed in the middle: no answer, so nothing was promised
        finally:
            self._free_connections.put_nowait((reader, writer))
        return header[9:12].decode()

    async def send_at_rate(self, delivery_requests: list[tuple[str, bytes]], per_second: float) -> LoadResult:
        """So many a second, whatever becomes of the earlier ones; the time of each counts from when it was due."""
        outcome, started_at = LoadResult(), perf_counter()

        async def send(number: int, guid: str, request: bytes) -> None:
            due_at = started_at + number / per_second
            status = await self._post(request)
            outcome.add_response(guid, status, (perf_counter() - due_at) * 1000)

        async with asyncio.TaskGroup() as group:
            for number, (guid, request) in enumerate(delivery_requests):
                if (delay_seconds := started_at + number / per_second - perf_counter()) > 0:
                    await asyncio.sleep(delay_seconds)
                group.create_task(send(number, guid, request))
        outcome.seconds = perf_counter() - started_at
        return outcome

    async def send_at_full_speed(self, delivery_requests: list[tuple[str, bytes]]) -> LoadResult:
        """All of them, each connection sending its next as soon as the last was answered."""
        outcome, started_at, remaining = LoadResult(), perf_counter(), iter(delivery_requests)

        async def send_all() -> None:
            for guid, request in remaining:
                sent_at = perf_counter()
                status = await self._post(request)
                outcome.add_response(guid, status, (perf_counter() - sent_at) * 1000)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._connection_count):
                group.create_task(send_all())
        outcome.seconds = perf_counter() - started_at
        return outcome
