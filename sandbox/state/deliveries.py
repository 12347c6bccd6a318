"""The record of a webhook delivery."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.state.accounts import App


@dataclass(eq=False, kw_only=True)
class Delivery:
    """One attempt to deliver a webhook. A redelivery is a new entry with the same `guid`.

    `status_code` is 0 before the attempt; 502 means that the receiver could not be reached, 504 that it did not answer
    within 10 s.
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
    def is_delivered(self) -> bool:
        """Whether the receiver accepted it."""
        return 200 <= self.status_code < 300
