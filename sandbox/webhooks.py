"""Send webhooks to Apps in order, and log the deliveries."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections import defaultdict
from http import HTTPStatus
from typing import Any

import aiohttp

from sandbox.hub import Hub
from sandbox.idle import PendingWork
from sandbox.serializers import issues as issue_serializer
from sandbox.state.deliveries import Delivery
from sandbox.state.models import App, Installation, Organisation, Repository, User

TIMEOUT_SECONDS = 10.0  # seconds of real time that a receiver has to answer, as on GitHub
MAX_PAYLOAD_BYTES = 25 * 1024 * 1024  # bytes; GitHub never sends more


class Deliverer:
    """One queue and one sender for each App, so that deliveries keep their order unless a fault reorders them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._queues: dict[int, asyncio.Queue[tuple[Delivery, PendingWork]]] = {}
        self._reorder_buffer: list[Delivery] = []
        self._attempts: dict[str, int] = defaultdict(int)
        self._session: aiohttp.ClientSession | None = None
        self.log: list[Delivery] = []

    def emit(self, repository: Repository, event: str, action: str | None, *, sender: User, **fields: Any) -> None:
        """Send a webhook to every App that is installed on the repository and subscribed to the event.

        `fields` are JSON values; `action`, `repository`, `organization`, `sender` and `installation` are
        added.
        """
        common_fields = self._common_fields(repository, action, sender, fields)
        for installation in self._hub.installations_on(repository):
            if installation.suspended_at is None and event in installation.events:
                self.send(installation, event, action, common_fields, repository=repository)

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
        """Send a webhook to one installation's App, subscribed or not."""
        common_fields = self._common_fields(repository, action, sender, fields)
        self.send(installation, event, action, common_fields, repository=repository)

    def emit_installation(
        self,
        installation: Installation,
        event: str,
        action: str,
        *,
        sender: User | None = None,
        **fields: Any,
    ) -> None:
        """Send `installation` or `installation_repositories` to the App itself, which needs no subscription."""
        payload: dict[str, Any] = {
            "action": action,
            "installation": issue_serializer.installation(self._hub, installation),
        }
        if event == "installation" and action in ("created", "deleted", "suspend", "unsuspend"):
            repositories = self._hub.repositories_of(installation)
            payload["repositories"] = [issue_serializer.installed_repository(repository) for repository in repositories]
        account = installation.account
        if sender is None:
            sender = account if isinstance(account, User) else self._hub.user(f"{account.login}-owner")
        payload |= {**fields, "sender": issue_serializer.user(self._hub, sender)}
        self.send(installation, event, action, payload)

    def _common_fields(
        self, repository: Repository, action: str | None, sender: User, fields: dict[str, Any]
    ) -> dict[str, Any]:
        common_fields: dict[str, Any] = {} if action is None else {"action": action}
        common_fields |= fields
        common_fields["repository"] = issue_serializer.repository(self._hub, repository)
        if isinstance(repository.owner, Organisation):
            common_fields["organization"] = issue_serializer.organisation(self._hub, repository.owner)
        common_fields["sender"] = issue_serializer.user(self._hub, sender)
        return common_fields

    def send(
        self,
        installation: Installation,
        event: str,
        action: str | None,
        payload: dict[str, Any],
        *,
        repository: Repository | None = None,
    ) -> None:
        """Queue one delivery to one installation's App, if the App has a webhook."""
        app = installation.app
        if app.webhook_url is None:
            return
        full_payload = {**payload}
        full_payload.setdefault("installation", {"id": installation.id, "node_id": installation.node_id})
        self._hub.check_webhook(event, action, full_payload)
        body = json.dumps(full_payload, separators=(",", ":"), ensure_ascii=False).encode()
        if len(body) > MAX_PAYLOAD_BYTES:
            return
        delivery = self._create_delivery(
            app,
            guid=str(uuid.UUID(int=self._hub.random.getrandbits(128), version=4)),
            event=event,
            action=action,
            installation_id=installation.id,
            repository_id=None if repository is None else repository.id,
            payload=full_payload,
            body=body,
        )
        fault = self._hub.faults.take_delivery_fault(event, action)
        if fault is None:
            self._send_with_random_faults(delivery)
        elif fault[0] == "drop":
            self._drop(delivery)
        elif fault[0] == "duplicate":
            self._send_in_order(delivery)
            self._send_in_order(delivery)
        else:
            self._hub.spawn(self._send_later(delivery, fault[1]), name=f"delayed {event}")

    def redeliver(self, delivery: Delivery) -> Delivery:
        """Queue the same delivery again, with the same GUID and bytes, to the App's current address."""
        redelivery = self._create_delivery(
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
        self._send_with_random_faults(redelivery)
        return redelivery

    def _drop(self, delivery: Delivery) -> None:
        self._fail(delivery, 502, "failed to connect to host")
        delivery.dropped = True

    def _send_with_random_faults(self, delivery: Delivery) -> None:
        random_faults = self._hub.faults.random_faults
        if random_faults is None:
            self._send_in_order(delivery)
            return
        delays = random_faults.delivery_delays()
        if not delays:
            self._drop(delivery)
        for seconds in delays:
            self._hub.spawn(self._send_later(delivery, seconds), name=f"delayed {delivery.event}")

    def find_latest(self, guid: str) -> Delivery:
        """The newest entry of a GUID. Raises KeyError."""
        for delivery in reversed(self.log):
            if delivery.guid == guid:
                return delivery
        raise KeyError(f"no delivery {guid}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _create_delivery(self, app: App, **fields: Any) -> Delivery:
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

    def _send_in_order(self, delivery: Delivery) -> None:
        if self._hub.faults.reorder_count == 0:
            self._enqueue(delivery)
            return
        self._reorder_buffer.append(delivery)
        self._hub.faults.reorder_count -= 1
        if self._hub.faults.reorder_count == 0:
            buffer, self._reorder_buffer = self._reorder_buffer, []
            for buffered in reversed(buffer):
                self._enqueue(buffered)

    async def _send_later(self, delivery: Delivery, seconds: float) -> None:
        await self._hub.clock.sleep(seconds)
        self._enqueue(delivery)

    def _enqueue(self, delivery: Delivery) -> None:
        work = self._hub.begin_work(f"delivery of {delivery.event}.{delivery.action}")
        queue = self._queues.get(delivery.app.id)
        if queue is None:
            queue = self._queues[delivery.app.id] = asyncio.Queue()
            self._hub.spawn_background(self._run_queue(queue), name=f"webhooks of {delivery.app.slug}")
        queue.put_nowait((delivery, work))

    async def _run_queue(self, queue: asyncio.Queue[tuple[Delivery, PendingWork]]) -> None:
        while True:
            delivery, work = await queue.get()
            try:
                await self._post(delivery)
            finally:
                work.end()

    async def _post(self, delivery: Delivery) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
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
            is_success = 200 <= status < 300
            delivery.status = "OK" if is_success else f"Invalid HTTP Response: {status}"
            delivery.status_code = status if status in {item.value for item in HTTPStatus} else 502
            delivery.delivered_at = self._hub.now()
        delivery.duration = round(asyncio.get_running_loop().time() - start, 3)

    def _fail(self, delivery: Delivery, status_code: int, status: str) -> None:
        delivery.status, delivery.status_code, delivery.delivered_at = status, status_code, self._hub.now()
