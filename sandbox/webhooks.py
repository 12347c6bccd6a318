"""Webhooks: what is sent to whom, in what order, and the log of it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from sandbox.idle import Work
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import App, Installation, Organisation, Repository, User

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox

TIMEOUT = 10.0  # seconds of real time in which a receiver must answer, as on GitHub
MAX_PAYLOAD = 25 * 1024 * 1024  # bytes; GitHub never sends more


@dataclass(eq=False, kw_only=True)
class Delivery:
    """One attempt to hand a webhook over. A redelivery is a new entry with the same `guid`.

    `status_code` is 0 until it was tried; 502 stands for a receiver that could not be reached, 504 for one
    that did not answer within 10 s.
    """

    id: int
    guid: str
    event: str
    action: str | None
    app: App = field(repr=False)
    installation_id: int | None
    repository_id: int | None
    payload: dict[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    redelivery: bool = False
    attempts: int = 1
    dropped: bool = False
    status: str = "pending"
    status_code: int = 0
    duration: float = 0.0
    created_at: datetime
    delivered_at: datetime | None = None
    throttled_at: datetime | None = None
    response_headers: dict[str, str] = field(default_factory=dict, repr=False)
    response_body: str = field(default="", repr=False)

    @property
    def ok(self) -> bool:
        """Whether the receiver took it."""
        return 200 <= self.status_code < 300


class Deliverer:
    """One queue and one sender for each App, so that deliveries keep their order unless the fault plan says
    not.
    """

    def __init__(self, hub: Sandbox) -> None:
        self._hub = hub
        self._queues: dict[int, asyncio.Queue[tuple[Delivery, Work]]] = {}
        self._held: list[Delivery] = []
        self._attempts: dict[str, int] = defaultdict(int)
        self._session: aiohttp.ClientSession | None = None
        self.log: list[Delivery] = []

    def emit(self, repository: Repository, event: str, action: str | None, *, sender: User, **fields: Any) -> None:
        """Tell every App that is installed on the repository and subscribed to the event.

        `fields` are JSON values; `action`, `repository`, `organization`, `sender` and `installation` are
        added.
        """
        shared = self._about(repository, action, sender, fields)
        for installation in self._hub.installations_on(repository):
            if installation.suspended_at is None and event in installation.events:
                self.send(installation, event, action, shared, repository=repository)

    def emit_to(
        self,
        installation: Installation,
        repository: Repository,
        event: str,
        action: str | None,
        *,
        sender: User,
        **fields: Any,
    ) -> None:
        """Tell one installation's App, subscribed or not."""
        shared = self._about(repository, action, sender, fields)
        self.send(installation, event, action, shared, repository=repository)

    def _about(
        self, repository: Repository, action: str | None, sender: User, fields: dict[str, Any]
    ) -> dict[str, Any]:
        shared: dict[str, Any] = {} if action is None else {"action": action}
        shared |= fields
        shared["repository"] = issue_serializer.repository(self._hub, repository)
        if isinstance(repository.owner, Organisation):
            shared["organization"] = issue_serializer.organisation(self._hub, repository.owner)
        shared["sender"] = issue_serializer.user(self._hub, sender)
        return shared

    def send(
        self,
        installation: Installation,
        event: str,
        action: str | None,
        payload: dict[str, Any],
        *,
        repository: Repository | None = None,
    ) -> None:
        """Queue one delivery to one installation's App; nothing happens when the App has no webhook."""
        app = installation.app
        if app.webhook_url is None:
            return
        named = {**payload}
        named.setdefault("installation", {"id": installation.id, "node_id": installation.node_id})
        self._hub.check_webhook(event, action, named)
        body = json.dumps(named, separators=(",", ":"), ensure_ascii=False).encode()
        if len(body) > MAX_PAYLOAD:
            return
        delivery = self._entry(
            app,
            guid=str(uuid.UUID(int=self._hub.random.getrandbits(128), version=4)),
            event=event,
            action=action,
            installation_id=installation.id,
            repository_id=None if repository is None else repository.id,
            payload=named,
            body=body,
        )
        fault = self._hub.faults.take_delivery(event, action)
        if fault is None:
            self._weathered(delivery)
        elif fault[0] == "drop":
            self._drop(delivery)
        elif fault[0] == "duplicate":
            self._in_order(delivery)
            self._in_order(delivery)
        else:
            self._hub.work(self._later(delivery, fault[1]), name=f"delayed {event}")

    def redeliver(self, delivery: Delivery) -> Delivery:
        """Queue the same delivery again, same GUID and bytes, to where the App listens now."""
        again = self._entry(
            delivery.app,
            guid=delivery.guid,
            event=delivery.event,
            action=delivery.action,
            installation_id=delivery.installation_id,
            repository_id=delivery.repository_id,
            payload=delivery.payload,
            body=delivery.body,
            redelivery=True,
        )
        self._weathered(again)
        return again

    def _drop(self, delivery: Delivery) -> None:
        self._fail(delivery, 502, "failed to connect to host")
        delivery.dropped = True

    def _weathered(self, delivery: Delivery) -> None:
        weather = self._hub.faults.weather
        if weather is None:
            self._in_order(delivery)
            return
        copies = weather.delivery()
        if not copies:
            self._drop(delivery)
        for seconds in copies:
            self._hub.work(self._later(delivery, seconds), name=f"delayed {delivery.event}")

    def latest(self, guid: str) -> Delivery:
        """The newest entry of a GUID. Raises KeyError."""
        for delivery in reversed(self.log):
            if delivery.guid == guid:
                return delivery
        raise KeyError(f"no delivery {guid}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _entry(self, app: App, **fields: Any) -> Delivery:
        self._attempts[fields["guid"]] += 1
        delivery = Delivery(
            id=self._hub.new_id(),
            app=app,
            url=app.webhook_url or "",
            created_at=self._hub.now(),
            attempts=self._attempts[fields["guid"]],
            **fields,
        )
        delivery.headers = {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/5a0db2b",
            "X-GitHub-Delivery": delivery.guid,
            "X-GitHub-Event": delivery.event,
            "X-GitHub-Hook-ID": str(app.hook_id),
            "X-GitHub-Hook-Installation-Target-ID": str(app.id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
        }
        if app.secret is not None:
            key = app.secret.encode()
            delivery.headers["X-Hub-Signature"] = "sha1=" + hmac.new(key, delivery.body, hashlib.sha1).hexdigest()
            signature = hmac.new(key, delivery.body, hashlib.sha256).hexdigest()
            delivery.headers["X-Hub-Signature-256"] = f"sha256={signature}"
        self.log.append(delivery)
        return delivery

    def _in_order(self, delivery: Delivery) -> None:
        if self._hub.faults.hold == 0:
            self._enqueue(delivery)
            return
        self._held.append(delivery)
        self._hub.faults.hold -= 1
        if self._hub.faults.hold == 0:
            held, self._held = self._held, []
            for waiting in reversed(held):
                self._enqueue(waiting)

    async def _later(self, delivery: Delivery, seconds: float) -> None:
        await self._hub.clock.sleep(seconds)
        self._enqueue(delivery)

    def _enqueue(self, delivery: Delivery) -> None:
        work = self._hub.activity.begin(f"delivery of {delivery.event}.{delivery.action}")
        queue = self._queues.get(delivery.app.id)
        if queue is None:
            queue = self._queues[delivery.app.id] = asyncio.Queue()
            self._hub.background(self._sender(queue), name=f"webhooks of {delivery.app.slug}")
        queue.put_nowait((delivery, work))

    async def _sender(self, queue: asyncio.Queue[tuple[Delivery, Work]]) -> None:
        while True:
            delivery, work = await queue.get()
            try:
                await self._hand_over(delivery)
            finally:
                work.end()

    async def _hand_over(self, delivery: Delivery) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        start = asyncio.get_running_loop().time()
        try:
            async with self._session.post(
                delivery.app.webhook_url or delivery.url,
                data=delivery.body,
                headers=delivery.headers,
                allow_redirects=False,
            ) as response:
                text = (await response.content.read(65_536)).decode(errors="replace")
                delivery.response_body, delivery.response_headers = text, dict(response.headers)
                status = response.status
        except TimeoutError:
            self._fail(delivery, 504, "timed out")
        except aiohttp.ClientError:
            self._fail(delivery, 502, "failed to connect to host")
        else:
            taken = 200 <= status < 300
            delivery.status = "OK" if taken else f"Invalid HTTP Response: {status}"
            delivery.status_code = status if status in {item.value for item in HTTPStatus} else 502
            delivery.delivered_at = self._hub.now()
        delivery.duration = round(asyncio.get_running_loop().time() - start, 3)

    def _fail(self, delivery: Delivery, status_code: int, status: str) -> None:
        delivery.status, delivery.status_code, delivery.delivered_at = status, status_code, self._hub.now()
