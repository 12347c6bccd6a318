"""The record of a request to the API."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(eq=False, kw_only=True)
class RequestRecord:
    """One request to the API. `status` is 0 when the connection was closed without a response."""

    received_at: datetime
    method: str
    path: str
    operation_id: str | None
    actor: str
    installation_id: int | None
    query: dict[str, str]
    body: Any
    status: int = 0
    response: Any = field(default=None, repr=False)
