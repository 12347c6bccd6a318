"""Sends alerts as a signed POST of JSON to the operator's endpoint."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Final

import aiohttp
from pydantic import SecretStr

from adapters.alerts.base import Message
from adapters.alerts.http_post import post

SIGNATURE: Final = "X-Orchestrator-Signature-256"
TIMESTAMP: Final = "X-Orchestrator-Timestamp"
ID: Final = "X-Orchestrator-Id"
VERSION: Final = 1


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of timestamp, dot and body; the receiver must compare it with the header in constant time."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def build_body(message: Message) -> bytes:
    """The message as JSON."""
    payload = {
        "version": VERSION,
        "id": message.key,
        "repository": message.repository,
        "task": message.number or None,
        "title": message.title,
        "text": message.text,
        "tried": message.attempted,
        "steps": message.suggestions,
        "people": message.people,
        "url": message.url,
        "since": message.since.isoformat(),
        "sent_at": message.sent_at.isoformat(),
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Webhook:
    """The channel `webhook`."""

    http: aiohttp.ClientSession
    url: SecretStr
    secret: SecretStr

    async def send(self, message: Message) -> None:
        """One POST; the same message again has the same id, so that a receiver can leave it out."""
        body, timestamp = build_body(message), str(int(message.sent_at.timestamp()))
        body_signature = signature(self.secret.get_secret_value(), timestamp, body)
        headers = {SIGNATURE: body_signature, TIMESTAMP: timestamp, ID: message.key}
        await post(self.http, "the webhook", self.url.get_secret_value(), body, headers)
