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
PADDED = 12_000  # bytes; GitHub's own examples of these lack what our installation adds


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the deliveries are said to come from."""

    repository_id: int
    full_name: str
    installation_id: int


def requests(origin: Origin, tasks: int) -> Iterator[tuple[str, bytes]]:
    """Deliveries without end, each with its GUID: the news of issues, some of them tasks (numbers 1 to `tasks`)."""
    shapes = [(event, json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))) for event, name in EVENTS]
    for _, payload in shapes:
        payload["repository"] |= {"id": origin.repository_id, "full_name": origin.full_name, "default_branch": "main"}
        payload["installation"] = {"id": origin.installation_id, "node_id": "I"}
    count = 0
    while True:
        for event, payload in shapes:
            count += 1
            of_a_task = event == "issue_comment"
            payload["issue"]["number"] = 1 + count % tasks if of_a_task else 1_000_000 + count
            yield _request(event, payload)


def _request(event: str, payload: dict[str, Any]) -> tuple[str, bytes]:
    payload["issue"]["body"] = ""
    payload["issue"]["body"] = "x" * max(0, PADDED - len(json.dumps(payload, separators=(",", ":"))))
    body = json.dumps(payload, separators=(",", ":")).encode()
    guid = str(uuid.uuid4())
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        "POST /webhook HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {guid}\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return guid, head.encode() + body


@dataclass
class Outcome:
    """What became of a load."""

    seconds: float = 0
    taken: list[str] = field(default_factory=list)  # answered 202
    ms: list[float] = field(default_factory=list)  # of each answer
    refused: dict[str, int] = field(default_factory=dict)  # other answers, by status; "" for none

    def note(self, guid: str, status: str, ms: float) -> None:
        """One answer."""
        self.ms.append(ms)
        if status == "202":
            self.taken.append(guid)
        else:
            self.refused[status] = self.refused.get(status, 0) + 1


class Load:
    """Connections to one address. Use as `async with`."""

    def __init__(self, address: str, connections: int) -> None:
        self._host, port = address.removeprefix("http://").rsplit(":", 1)
        self._port = int(port)
        self._free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
        self._all: list[asyncio.StreamWriter] = []
        self._count = connections

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._all:
            writer.close()

    async def _connect(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        self._all.append(writer)
        self._free.put_nowait((reader, writer))

    async def _post(self, request: bytes) -> str:
        reader, writer = await self._free.get()
        try:
            if reader.at_eof() or writer.transport.is_closing():
                return ""
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            return ""  # killed in the middle: no answer, so nothing was promised
        finally:
            self._free.put_nowait((reader, writer))
        return head[9:12].decode()

    async def at_pace(self, made: list[tuple[str, bytes]], per_second: float) -> Outcome:
        """So many a second, whatever becomes of the earlier ones; the time of each counts from when it was due."""
        outcome, begun = Outcome(), perf_counter()

        async def send(number: int, guid: str, request: bytes) -> None:
            due = begun + number / per_second
            status = await self._post(request)
            outcome.note(guid, status, (perf_counter() - due) * 1000)

        async with asyncio.TaskGroup() as group:
            for number, (guid, request) in enumerate(made):
                if (wait := begun + number / per_second - perf_counter()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(send(number, guid, request))
        outcome.seconds = perf_counter() - begun
        return outcome

    async def as_fast(self, made: list[tuple[str, bytes]]) -> Outcome:
        """All of them, each connection sending its next as soon as the last was answered."""
        outcome, begun, left = Outcome(), perf_counter(), iter(made)

        async def sender() -> None:
            for guid, request in left:
                at = perf_counter()
                status = await self._post(request)
                outcome.note(guid, status, (perf_counter() - at) * 1000)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(sender())
        outcome.seconds = perf_counter() - begun
        return outcome
