"""Serves the webhook endpoint: verify, store, answer. Nothing is decided here."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from aiohttp import web

from adapters.database.deliveries import StoredDelivery
from bot.http.admission import RETRY_SOON_SECONDS, AdmissionControl, Overloaded
from bot.http.delivery_writer import DATABASE_UNAVAILABLE
from bot.http.metrics import IntakeMetrics
from core.clock import Clock
from engine.senders import Identity
from handlers import HANDLERS
from handlers.event_filter import is_relevant
from handlers.lock_key import lock_key

log = structlog.get_logger()

MAX_BODY = 26 * 1024 * 1024  # bytes; GitHub sends up to 25 MB
LARGE_BODY_BYTES = 256 * 1024  # bytes of JSON that are parsed off the event loop
_GUID = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_EVENT = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)


class InvalidRequest(Exception):
    """The request is not a delivery; `status` is the answer, the text says why."""

    def __init__(self, status: int, reason: str) -> None:
        """`reason` is shown to the caller and holds nothing secret."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


def _too_large() -> InvalidRequest:
    return InvalidRequest(413, f"the body is larger than {MAX_BODY} bytes")


def is_signed(body: bytes, signature: str, secrets: Sequence[bytes]) -> bool:
    """Whether `signature` is `sha256=<hex>` of the body by one of the secrets.

    Every secret is tried, and each comparison takes the same time, so that an answer tells nothing of them.
    """
    expected = signature.encode("utf-8", "replace")
    matches = [
        hmac.compare_digest(b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode(), expected)
        for secret in secrets
    ]
    return any(matches)


class WebhookEndpoint:
    """`POST /webhook`."""

    def __init__(
        self,
        store_delivery: Callable[[StoredDelivery, str], Awaitable[bool]],
        clock: Clock,
        secrets: Sequence[str],
        metrics: IntakeMetrics,
        identity: Callable[[], Identity | None],
        admission: AdmissionControl,
    ) -> None:
        """`store_delivery` stores a delivery and its job and returns whether it is new; `secrets` are all valid ones;
        at least one.

        Raises `ValueError` without a secret: an unsigned endpoint would accept requests from everyone.
        """
        if not secrets or not all(secrets):
            raise ValueError("a webhook secret is needed")
        self._store_delivery = store_delivery
        self._clock = clock
        self._secrets = [secret.encode() for secret in secrets]
        self._metrics = metrics
        self._identity = identity
        self._admission = admission
        self._large_body_lock = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one delivery."""
        event = request.headers.get("X-GitHub-Event", "")
        event_label = event if event in HANDLERS else "other"
        try:
            async with self._admission.request_slot():
                outcome = await self._check_headers(request, event)
        except Overloaded as overloaded:
            self._metrics.deliveries.labels(event_label, "503").inc()
            self._metrics.rejected.labels(overloaded.reason.partition(":")[0]).inc()
            log.info("delivery_rejected", reason=overloaded.reason)
            headers = {"Retry-After": str(overloaded.retry_after_seconds)}
            return web.json_response({"error": overloaded.reason}, status=503, headers=headers)
        except InvalidRequest as problem:
            self._metrics.deliveries.labels(event_label, str(problem.status)).inc()
            log.warning("delivery_malformed", status=problem.status, reason=problem.reason, remote=request.remote)
            return web.json_response({"error": problem.reason}, status=problem.status)
        self._metrics.deliveries.labels(event_label, outcome).inc()
        return web.json_response({"status": outcome}, status=202 if outcome == "accepted" else 200)

    async def _check_headers(self, request: web.Request, event: str) -> str:
        if request.content_type != "application/json":
            raise InvalidRequest(415, "the content type must be application/json; set it in the App's webhook settings")
        guid = request.headers.get("X-GitHub-Delivery", "")
        if not _GUID.fullmatch(guid):
            raise InvalidRequest(400, "the header X-GitHub-Delivery is missing or malformed")
        if not _EVENT.fullmatch(event):
            raise InvalidRequest(400, "the header X-GitHub-Event is missing or malformed")
        signature = request.headers.get("X-Hub-Signature-256")
        if not signature:
            raise InvalidRequest(401, "the header X-Hub-Signature-256 is missing")
        size = MAX_BODY if request.content_length is None else request.content_length
        if size > MAX_BODY:
            raise _too_large()
        async with self._admission.buffer_body(size):
            return await self._receive_body(request, guid, event, signature)

    async def _receive_body(self, request: web.Request, guid: str, event: str, signature: str) -> str:
        """Read the body, and store it if it is relevant."""
        limits = self._admission.limits
        try:
            async with asyncio.timeout(limits.body_timeout_seconds):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise _too_large() from None
        except TimeoutError:
            raise InvalidRequest(408, f"the body did not arrive within {limits.body_timeout_seconds:g} s") from None
        if not is_signed(body, signature, self._secrets):
            raise InvalidRequest(401, "the signature is wrong: compare the webhook secret here and on GitHub")
        if len(body) <= LARGE_BODY_BYTES:
            outcome = self._read_delivery(body, guid, event, _parse(body))
        else:
            async with self._large_body_lock:  # read, it takes many times its size
                outcome = self._read_delivery(body, guid, event, await asyncio.to_thread(_parse, body))
        if isinstance(outcome, str):
            return outcome
        try:
            async with asyncio.timeout(2 * limits.store_timeout_seconds):  # another group may be before this one
                is_new = await self._store_delivery(*outcome)
        except DATABASE_UNAVAILABLE as error:
            # What was stored all the same, before its answer was lost, is known by its GUID when it comes again.
            log.warning("delivery_not_stored", error=str(error))
            raise Overloaded("database: it does not answer", RETRY_SOON_SECONDS) from None
        return "accepted" if is_new else "already received"

    def _read_delivery(
        self, body: bytes, guid: str, event: str, payload: dict[str, Any]
    ) -> tuple[StoredDelivery, str] | str:
        """The delivery with the lock of its job; or what is answered without storing it."""
        if event == "ping":
            return "pong"
        if event not in HANDLERS:
            return "ignored"
        delivery = StoredDelivery(
            guid=guid,
            event=event,
            action=_action(payload.get("action")),
            repository_id=_id(payload, "repository"),
            installation_id=_id(payload, "installation"),
            payload=body,
            received_at=self._clock.now(),
        )
        if not is_relevant(event, payload, self._identity()):
            return "ignored"
        return delivery, lock_key(event, payload)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequest(400, "the body is not JSON") from None
    if not isinstance(payload, dict):
        raise InvalidRequest(400, "the body is not a JSON object")
    return payload


def _action(value: object) -> str | None:
    """The action; `InvalidRequest` for what is none, which could not even be stored: a NUL, half a character."""
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        raise InvalidRequest(400, "`action` is not a word")
    return value[:100] if isinstance(value, str) else None


def _id(payload: dict[str, Any], key: str) -> int | None:
    """The numeric id of an object in the payload.

    Raises `InvalidRequest` when there is something else: a signed delivery of GitHub's never has that.
    """
    value_object = payload.get(key)
    if value_object is None:
        return None
    value = value_object.get("id") if isinstance(value_object, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise InvalidRequest(400, f"`{key}` has no valid id")
    return value
