"""Describes what the bot stopped retrying, so that a person can act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An effect that could not be sent, or a delivery that could not be handled or never arrived."""

    id: str  # what retries it: a number for an effect, the GUID for a delivery
    subject: str  # one line: what it was about
    number: int | None  # of the task or issue, if it belongs to one
    attempts: int
    error: str
    created_at: datetime  # when the effect was requested, or the delivery arrived
    repository: str = ""
