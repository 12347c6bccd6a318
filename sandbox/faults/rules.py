"""The kinds of faults, and the rule for the next requests of one operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeliveryFault = Literal["drop", "duplicate", "delay"]
ResponseFault = Literal[
    "500-done",
    "502-not-done",
    "hang-done",
    "hang-not-done",
    "403-secondary",
    "401-expired",
    "301-moved",
    "429",
    "410-disabled",
]


@dataclass(slots=True)
class ResponseRule:
    """A fault for the next `remaining` requests of one operation; `seconds` is how long a hanging response takes."""

    operation: str
    kind: ResponseFault
    seconds: float | None
    remaining: int
